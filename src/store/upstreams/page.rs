//! What lists of credentials and of flows have in common.

use crate::store::dialect::Dialect;

/// The condition that a text, which is not case-sensitive, stands in the upstream's or the holder's id of `t`.
pub(super) fn found(dialect: Dialect) -> String {
    let [upstream, holder] =
        ["t.upstream_id", "t.holder_id"].map(|column| dialect.stands_in("r.search", column));
    format!("({upstream} or {holder})")
}

/// The user behind the holder of `t`, where `k` is its token.
pub(super) const USER: &str = "coalesce(t.user_id, k.user_id)";

/// The token of `t`, if it has one, as `k`.
pub(super) const WITH_TOKEN: &str = "left join tokens as k on k.tenant = t.tenant and k.id = t.token_id";
