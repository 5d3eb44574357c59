//! What the plugins can do with the headers of a request that goes on: set them. A header that has to go is set to nothing.

use std::collections::BTreeMap;

use crate::{
    api::held::GATEWAY_HEADER,
    decision::{CannotCarryOut, GatewayAbilities, HeaderChanges},
};

/// What a plugin was told of the request, and can set.
#[derive(Debug)]
pub(super) struct PluginHeaders<'a> {
    /// The names of the request's headers, in lower case.
    pub told: Vec<String>,
    /// The names that it sets, as it spells them; `None` for one that sets any.
    pub spelt: Option<&'a [String]>,
}

impl GatewayAbilities for PluginHeaders<'_> {
    fn carries_out(&self, changes: &HeaderChanges) -> Result<(), CannotCarryOut> {
        headers(changes, &self.told, self.spelt).map(drop)
    }
}

/// The gateway's own affair: nothing of the client's own value goes on, and none may be put in its place.
const FRAMING: [&str; 5] = ["connection", "content-length", "host", "transfer-encoding", "upgrade"];

/// Every header to set: those of the decision; and empty, which takes the client's own value away, those that it removes and
/// that the gateway has told (`told`, in lower case). With `spelt` the gateway sets these alone, and knows them by this
/// spelling.
///
/// # Errors
/// [`CannotCarryOut`] when one of them cannot be set.
pub(super) fn headers<'a>(
    changes: &'a HeaderChanges,
    told: &'a [String],
    spelt: Option<&'a [String]>,
) -> Result<BTreeMap<&'a str, &'a str>, CannotCarryOut> {
    let mut set = BTreeMap::new();
    let mut change = |name: &'a str, value: &'a str| {
        let known = match spelt {
            None => Some(name),
            Some(spelt) => spelt.iter().map(String::as_str).find(|own| own.eq_ignore_ascii_case(name)),
        };
        let known = known.filter(|_| !FRAMING.contains(&name));
        let name = known.ok_or_else(|| CannotCarryOut { header: name.to_owned() })?;
        set.insert(name, value);
        Ok(())
    };
    for (name, value) in changes.all_set() {
        change(name, value)?;
    }
    let is_set = |name: &str| changes.all_set().any(|(set, _)| set == name);
    let goes = |name: &str| {
        // A client's `Connection` ends at either gateway.
        name == GATEWAY_HEADER.as_str()
            || (name != "connection" && changes.remove.iter().any(|removed| removed == name))
    };
    for name in told.iter().map(String::as_str).filter(|name| goes(name) && !is_set(name)) {
        change(name, "")?;
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::headers;
    use crate::decision::{CannotCarryOut, HeaderChanges};

    fn changes(set: &[(&str, &str)], remove: &[&str]) -> HeaderChanges {
        HeaderChanges {
            set: set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            credential: Default::default(),
            remove: remove.iter().map(|name| (*name).to_owned().into()).collect(),
            pass: None,
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn cannot<T>(header: &str) -> Result<T, CannotCarryOut> {
        Err(CannotCarryOut { header: header.to_owned() })
    }

    #[test]
    fn what_has_to_go_is_emptied_where_the_client_sent_it() {
        let changes = changes(&[("x-user", "u1")], &["authorization", "cookie", "x-user"]);
        let told = names(&["accept", "authorization", "x-user", "x-regate-gateway-token"]);
        let set = headers(&changes, &told, None).unwrap();
        let expected = [("authorization", ""), ("x-regate-gateway-token", ""), ("x-user", "u1")];
        assert_eq!(set.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_gateway_that_sets_some_headers_only_cannot_set_others() {
        let spelt = names(&["Authorization", "X-User"]);
        let able = |set: &[(&str, &str)], remove: &[&str], told: &[&str]| {
            let (changes, told) = (changes(set, remove), names(told));
            let set = headers(&changes, &told, Some(&spelt));
            set.map(|set| set.keys().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(able(&[], &["authorization"], &["authorization"]), Ok(names(&["Authorization"])));
        assert_eq!(able(&[("x-user", "u1")], &[], &[]), Ok(names(&["X-User"])));
        // Nobody sent it: there is nothing to take away.
        assert_eq!(able(&[], &["cookie"], &["accept"]), Ok(Vec::new()));
        assert_eq!(able(&[], &["cookie"], &["cookie"]), cannot("cookie"));
        assert_eq!(able(&[("x-other", "1")], &[], &[]), cannot("x-other"));
        assert_eq!(able(&[], &[], &["x-regate-gateway-token"]), cannot("x-regate-gateway-token"));
    }

    #[test]
    fn what_frames_the_message_is_not_changed() {
        let told = names(&["host", "connection"]);
        assert_eq!(headers(&changes(&[], &["host"]), &told, None), cannot("host"));
        assert_eq!(
            headers(&changes(&[("transfer-encoding", "x")], &[]), &told, None),
            cannot("transfer-encoding")
        );
        assert_eq!(headers(&changes(&[], &["connection"]), &told, None).map(|set| set.len()), Ok(0));
    }
}
