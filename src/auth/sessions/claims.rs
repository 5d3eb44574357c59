//! From claims that are signed to a session: for whom, until when, whose.

use serde_json::{Map, Value};

use super::settings::{IssuerSettings, RoleFrom, TenantFrom};
use crate::types::{Session, SessionRefusal, TenantId, UserRole};

/// A user's id that is longer is none.
const LONGEST_USER_ID: usize = 512;

/// The session that these claims are, as far as time does not matter.
///
/// # Errors
/// [`SessionRefusal::WrongAudience`], [`SessionRefusal::ExpiryMissing`], [`SessionRefusal::ClaimMissing`];
/// [`SessionRefusal::Malformed`] for a registered claim of a wrong type (RFC 7519 section 4.1).
pub(super) fn session(
    issuer: &IssuerSettings,
    claims: Map<String, Value>,
) -> Result<Session, SessionRefusal> {
    if !is_meant_for(issuer, claims.get("aud")) {
        return Err(SessionRefusal::WrongAudience);
    }
    let expires_at = date(claims.get("exp"), f64::floor)?;
    if issuer.require_expiry && expires_at.is_none() {
        return Err(SessionRefusal::ExpiryMissing);
    }
    let not_before = date(claims.get("nbf"), f64::ceil)?;
    let token_id = match claims.get("jti") {
        None => None,
        Some(Value::String(id)) => Some(id.as_str().into()),
        Some(_) => return Err(SessionRefusal::Malformed),
    };
    let user_id = find(&claims, &issuer.user_claim)
        .and_then(Value::as_str)
        .filter(|id| !id.is_empty() && id.len() <= LONGEST_USER_ID && !id.contains(char::is_control))
        .ok_or(SessionRefusal::ClaimMissing)?
        .into();
    let tenant = tenant(&issuer.tenant, &claims)?;
    let role = match &issuer.role {
        RoleFrom::Database => None,
        RoleFrom::Claim(name) => Some(role(find(&claims, name))),
    };
    let leeway = i64::try_from(issuer.leeway.as_secs()).unwrap_or(0);
    Ok(Session { user_id, tenant, role, expires_at, not_before, leeway, token_id, claims })
}

fn is_meant_for(issuer: &IssuerSettings, audience: Option<&Value>) -> bool {
    let ours =
        |value: &Value| value.as_str().is_some_and(|text| issuer.audience.iter().any(|own| own == text));
    match audience {
        Some(Value::Array(several)) => several.iter().any(ours),
        Some(one) => ours(one),
        None => false,
    }
}

/// A `NumericDate`: seconds since 1970, which may have a fraction; rounded to the side that allows less.
fn date(claim: Option<&Value>, round: fn(f64) -> f64) -> Result<Option<i64>, SessionRefusal> {
    let Some(claim) = claim else { return Ok(None) };
    let whole = claim.as_i64().or_else(|| claim.as_f64().map(|seconds| whole_seconds(round(seconds))));
    whole.map(Some).ok_or(SessionRefusal::Malformed)
}

/// What is beyond the range stays at its end.
#[allow(clippy::cast_possible_truncation, reason = "a cast of a float keeps within the range of the integer")]
fn whole_seconds(seconds: f64) -> i64 {
    seconds as i64
}

fn tenant(from: &TenantFrom, claims: &Map<String, Value>) -> Result<TenantId, SessionRefusal> {
    match from {
        TenantFrom::Fixed(tenant) => Ok(tenant.clone()),
        TenantFrom::Claim { name, allowed } => {
            let named = find(claims, name).and_then(Value::as_str);
            named
                .and_then(|id| TenantId::try_from(id).ok())
                .filter(|id| allowed.as_ref().is_none_or(|allowed| allowed.contains(id)))
                .ok_or(SessionRefusal::ClaimMissing)
        }
    }
}

/// The first that names a role. Who has none of them is an ordinary user.
fn role(claim: Option<&Value>) -> UserRole {
    let named = |value: &Value| UserRole::from_name(value.as_str()?);
    match claim {
        Some(Value::Array(several)) => several.iter().find_map(named),
        Some(one) => named(one),
        None => None,
    }
    .unwrap_or(UserRole::User)
}

/// A claim by its name, which may have dots in it; or else by its path.
fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(claim) = claims.get(name) {
        return Some(claim);
    }
    let (first, rest) = name.split_once('.')?;
    let first = claims.get(first)?;
    rest.split('.').try_fold(first, |value, name| value.as_object()?.get(name))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{IssuerSettings, RoleFrom, TenantFrom, session};
    use crate::{
        auth::sessions::KeysFrom,
        types::{Session, SessionRefusal as Refusal, TenantId, UserRole},
    };

    fn issuer() -> IssuerSettings {
        IssuerSettings {
            issuer: "https://login.example".into(),
            keys: KeysFrom::File("keys".into()),
            audience: vec!["regate".into(), "other".into()],
            algorithms: Vec::new(),
            user_claim: "sub".into(),
            tenant: TenantFrom::Fixed(TenantId::default_tenant()),
            role: RoleFrom::Database,
            leeway: Duration::from_secs(30),
            require_expiry: true,
            refresh_interval: Duration::from_secs(600),
            refetch_limit: Duration::from_secs(30),
        }
    }

    fn read(issuer: &IssuerSettings, changes: Value) -> Result<Session, Refusal> {
        let mut claims = json!({"aud": "regate", "exp": 2_000, "sub": "ada"}).as_object().unwrap().clone();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.remove(name)),
                value => drop(claims.insert(name.clone(), value.clone())),
            }
        }
        session(issuer, claims)
    }

    #[test]
    fn a_session_is_for_us_and_has_an_end() {
        let issuer = issuer();
        assert_eq!(read(&issuer, json!({})).unwrap().user_id.as_ref(), "ada");
        assert!(read(&issuer, json!({"aud": ["x", "other"]})).is_ok());
        for audience in [
            json!(null),
            json!("regat"),
            json!("Regate"),
            json!([]),
            json!([["regate"]]),
            json!({}),
            json!(1),
        ] {
            assert_eq!(read(&issuer, json!({"aud": audience})), Err(Refusal::WrongAudience), "{audience}");
        }
        assert_eq!(read(&issuer, json!({"exp": null})), Err(Refusal::ExpiryMissing));
        let lenient = IssuerSettings { require_expiry: false, ..issuer.clone() };
        assert_eq!(read(&lenient, json!({"exp": null})).unwrap().expires_at, None);
        for claim in ["exp", "nbf"] {
            for wrong in [json!("2000"), json!([2000]), json!(true), json!({})] {
                assert_eq!(read(&issuer, json!({claim: wrong})), Err(Refusal::Malformed), "{claim} {wrong}");
            }
        }
        assert_eq!(read(&issuer, json!({"jti": 7})), Err(Refusal::Malformed));
        assert_eq!(read(&issuer, json!({"jti": "7"})).unwrap().token_id.as_deref(), Some("7"));
    }

    #[test]
    fn fractions_are_rounded_to_the_side_that_allows_less() {
        let session = read(&issuer(), json!({"exp": 1999.9, "nbf": 10.1})).unwrap();
        assert_eq!((session.expires_at, session.not_before, session.leeway), (Some(1_999), Some(11), 30));
        let session = read(&issuer(), json!({"exp": 1e300, "nbf": u64::MAX})).unwrap();
        assert_eq!((session.expires_at, session.not_before), (Some(i64::MAX), Some(i64::MAX)));
    }

    #[test]
    fn a_user_is_a_text_by_name_or_by_path() {
        let named = |user_claim: &str| IssuerSettings { user_claim: user_claim.into(), ..issuer() };
        let both = json!({"realm": {"user": "path"}, "realm.user": "name"});
        assert_eq!(read(&named("realm.user"), both).unwrap().user_id.as_ref(), "name");
        assert_eq!(
            read(&named("realm.user"), json!({"realm": {"user": "path"}})).unwrap().user_id.as_ref(),
            "path"
        );
        assert_eq!(read(&named("realm.user"), json!({"realm": ["user"]})), Err(Refusal::ClaimMissing));
        let long = "x".repeat(513);
        for wrong in [json!(null), json!(""), json!(7), json!(["ada"]), json!({}), json!("a\nb"), json!(long)]
        {
            assert_eq!(read(&issuer(), json!({"sub": wrong})), Err(Refusal::ClaimMissing), "{wrong}");
        }
    }

    #[test]
    fn a_tenant_is_one_that_the_issuer_may_name() {
        let tenant = |id: &str| TenantId::try_from(id).unwrap();
        let from = |allowed: Option<Vec<TenantId>>| IssuerSettings {
            tenant: TenantFrom::Claim { name: "org".into(), allowed },
            ..issuer()
        };
        let some = from(Some(vec![tenant("acme"), tenant("blue")]));
        assert_eq!(read(&some, json!({"org": "blue"})).unwrap().tenant, tenant("blue"));
        assert_eq!(read(&from(None), json!({"org": "any"})).unwrap().tenant, tenant("any"));
        for wrong in
            [json!(null), json!("any"), json!("Acme"), json!(""), json!("_a"), json!(["acme"]), json!(1)]
        {
            assert_eq!(read(&some, json!({"org": wrong})), Err(Refusal::ClaimMissing), "{wrong}");
        }
        assert_eq!(read(&from(None), json!({"org": "../x"})), Err(Refusal::ClaimMissing));
        // What the claim says does not matter where the tenant is fixed.
        assert_eq!(read(&issuer(), json!({"org": "x", "tenant": "x"})).unwrap().tenant, tenant("default"));
    }

    #[test]
    fn a_role_comes_from_the_claim_only_where_it_may() {
        let from_claim = IssuerSettings { role: RoleFrom::Claim("realm.roles".into()), ..issuer() };
        let role = |roles: Value| read(&from_claim, json!({"realm": {"roles": roles}})).unwrap().role;
        assert_eq!(role(json!(["x", 1, "viewer", "admin"])), Some(UserRole::Viewer));
        assert_eq!(role(json!("admin")), Some(UserRole::Admin));
        for none in [json!([]), json!("Admin"), json!("owner"), json!({"admin": true}), json!(null)] {
            assert_eq!(role(none.clone()), Some(UserRole::User), "{none}");
        }
        assert_eq!(read(&issuer(), json!({"roles": ["admin"], "role": "admin"})).unwrap().role, None);
    }
}
