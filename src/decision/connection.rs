//! Names for who speaks with which upstream, that no two share.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::types::{Holder, HolderKind, TenantId};

/// All but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Who speaks with which upstream: `TENANT/KIND/ID/UPSTREAM`, each part with all but the unreserved characters of
/// RFC 3986 percent-encoded (in upper-case hex digits), where KIND is `user` or `token`.
///
/// It is the same for the same four parts, always; and since no part holds a `/` or a bare `%`, no two fours share
/// one, whatever their parts are. Gateways rely on that.
pub(super) fn connection_key(tenant: &TenantId, kind: HolderKind, id: &str, upstream: &str) -> String {
    let mut key = String::with_capacity(tenant.as_str().len() + id.len() + upstream.len() + 24);
    key.push_str(tenant.as_str());
    key.push('/');
    put(&mut key, kind, id, upstream);
    key
}

/// What a credential is found by within its tenant: `KIND/ID/UPSTREAM`.
pub(super) fn credential_key(upstream: &str, holder: &Holder) -> String {
    held_by(upstream, holder.kind(), holder.id())
}

/// The same of the parts of a holder.
pub(super) fn held_by(upstream: &str, kind: HolderKind, id: &str) -> String {
    let mut key = String::with_capacity(id.len() + upstream.len() + 16);
    put(&mut key, kind, id, upstream);
    key
}

fn put(key: &mut String, kind: HolderKind, id: &str, upstream: &str) {
    key.push_str(kind.as_str());
    key.push('/');
    encode(key, id);
    key.push('/');
    encode(key, upstream);
}

/// Adds a text with all but the unreserved characters of RFC 3986 percent-encoded.
pub(super) fn encode(to: &mut String, text: &str) {
    to.extend(utf8_percent_encode(text, RESERVED));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::connection_key;
    use crate::types::{HolderKind, TenantId};

    const KINDS: [HolderKind; 2] = [HolderKind::User, HolderKind::Token];

    #[test]
    fn a_key_is_written_as_the_documentation_says() {
        let acme = TenantId::try_from("acme").unwrap();
        for (id, upstream, key) in [
            ("u1", "github", "acme/user/u1/github"),
            ("a/b", "c", "acme/user/a%2Fb/c"),
            ("a", "b/c", "acme/user/a/b%2Fc"),
            ("a%2Fb", "c", "acme/user/a%252Fb/c"),
            ("é ", "-._~", "acme/user/%C3%A9%20/-._~"),
            ("", "", "acme/user//"),
        ] {
            assert_eq!(connection_key(&acme, HolderKind::User, id, upstream), key);
        }
    }

    #[test]
    fn identities_that_hold_separators_do_not_meet() {
        let parts = ["", "/", "//", "%", "%2F", "user", "user/", "a", "a/", "/a", "a/b", "\0", ":", "\u{e9}"];
        let mut keys = BTreeSet::new();
        let mut tuples = 0;
        for tenant in ["a", "user", "a-b"] {
            let tenant = TenantId::try_from(tenant).unwrap();
            for (kind, id, upstream) in KINDS.into_iter().flat_map(|kind| {
                parts.into_iter().flat_map(move |id| parts.map(|upstream| (kind, id, upstream)))
            }) {
                keys.insert(connection_key(&tenant, kind, id, upstream));
                tuples += 1;
            }
        }
        assert_eq!(keys.len(), tuples);
    }

    proptest! {
        #[test]
        fn any_two_identities_have_two_keys(
            a in (any::<bool>(), ".{0,8}", ".{0,8}"),
            b in (any::<bool>(), ".{0,8}", ".{0,8}"),
        ) {
            let tenant = TenantId::default_tenant();
            let key = |(user, id, upstream): &(bool, String, String)| {
                connection_key(&tenant, KINDS[usize::from(*user)], id, upstream)
            };
            prop_assert_eq!(key(&a) == key(&b), a == b);
            prop_assert!(key(&a).bytes().all(|b| b.is_ascii_graphic()));
        }
    }
}
