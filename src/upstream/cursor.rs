//! Where a page of credentials goes on: a text that names one by upstream and holder.

use crate::{
    store::upstreams::CredentialKey,
    types::{Holder, HolderKind},
};

/// The text: `KIND:LENGTH:UPSTREAM:ID`, with the bytes of the upstream's id as LENGTH, since ids may hold colons.
pub fn cursor(key: &CredentialKey) -> String {
    let CredentialKey { upstream_id, holder, .. } = key;
    format!("{}:{}:{upstream_id}:{}", holder.kind().as_str(), upstream_id.len(), holder.id())
}

/// The upstream and the holder that such a text names; `None` for another text.
pub fn read_cursor(text: &str) -> Option<(String, Holder)> {
    let (kind, rest) = text.split_once(':')?;
    let (length, rest) = rest.split_once(':')?;
    let (upstream, rest) = rest.split_at_checked(length.parse().ok()?)?;
    let id = rest.strip_prefix(':')?;
    let kind = HolderKind::from_name(kind)?;
    let named = (kind == HolderKind::Shared) == id.is_empty();
    named.then(|| (upstream.to_owned(), Holder::new(kind, id)))
}

#[cfg(test)]
mod tests {
    use super::{cursor, read_cursor};
    use crate::{
        store::upstreams::CredentialKey,
        types::{Holder, TenantId},
    };

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        for upstream in ["github", "a:b", "ü:", ":", "1:x"] {
            for holder in [Holder::Shared, Holder::User("u:1".into()), Holder::Token("ü".into())] {
                let key = CredentialKey {
                    tenant: TenantId::default_tenant(),
                    upstream_id: upstream.to_owned(),
                    holder: holder.clone(),
                };
                assert_eq!(read_cursor(&cursor(&key)), Some((upstream.to_owned(), holder)));
            }
        }
        for wrong in [
            "",
            "user",
            "user:3:abc",
            "user:9:abc:u",
            "user:-1:a:u",
            "user:1:ü:u",
            "user:1:a:",
            "shared:1:a:x",
        ] {
            assert_eq!(read_cursor(wrong), None, "{wrong}");
        }
    }
}
