//! The upstream that a question names: whether the caller may reach it, and what goes on there.
//!
//! The caller's own credential stops here (systems.md C2). What goes on instead is opened only after the rules have
//! allowed (C7), for the one holder that the caller is, and for nobody else (C3, C4).

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use http::HeaderValue;
use thiserror::Error;

use super::{
    caller::Caller,
    connection::{connection_key, held_by},
    decide::DecisionRules,
    facts::{CredentialMode, CredentialState},
    input::UpstreamInput,
    outcome::{CredentialUse, HeaderChanges},
    question::{Delivery, Question},
    reason::OwnReason,
    snapshot::{CredentialRecord, TenantData, UpstreamRecord},
};
use crate::types::{
    Holder, HolderKind, KeyId, SealedFor, SecretText, TenantId, UpstreamSecret,
    upstream_rules::check_credential_header,
};

/// The upstream that a question names, and what its caller has there.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedUpstream<'a> {
    id: &'a str,
    tenant: &'a TenantId,
    record: &'a UpstreamRecord,
    granted: bool,
    anonymous: bool,
    /// Who speaks with it: the caller's user, or the token of one that has none.
    speaker: Option<(HolderKind, &'a str)>,
    /// Whose credential goes on; `None` when the caller is nobody of the kind that holds them there.
    holder: Option<(HolderKind, &'a str)>,
    standing: Standing<'a>,
}

/// How the credential stands that would go on.
#[derive(Clone, Copy, Debug)]
enum Standing<'a> {
    /// None is needed.
    NotNeeded,
    Active(&'a CredentialRecord),
    Missing,
    Orphaned,
    Expired,
    /// Its holder has to consent anew; rules see it as expired.
    Refused,
}

impl Standing<'_> {
    /// The name that rules see.
    const fn as_str(self) -> &'static str {
        match self {
            Self::NotNeeded => "none",
            Self::Active(_) => "active",
            Self::Missing => "missing",
            Self::Orphaned => "orphaned",
            Self::Expired | Self::Refused => "expired",
        }
    }
}

/// A credential that is there and cannot go on. For the log, not for the caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnusableCredential {
    /// No key opens it, or it was changed, or it stands where it does not belong.
    #[error(
        "the credential of {holder:?} for the upstream {upstream:?} does not open (sealed by the key {key})"
    )]
    DoesNotOpen {
        /// The upstream.
        upstream: String,
        /// Whose it is.
        holder: Holder,
        /// What sealed it.
        key: KeyId,
    },
    /// It opens, and does not fit what the upstream wants.
    #[error("the credential of {holder:?} for the upstream {upstream:?} does not fit the upstream's headers")]
    DoesNotFit {
        /// The upstream.
        upstream: String,
        /// Whose it is.
        holder: Holder,
    },
}

/// Why an allowed request does not go on.
#[derive(Debug)]
pub(super) struct NotOn {
    pub reason: OwnReason,
    pub connect_url: Option<String>,
    pub fault: Option<UnusableCredential>,
}

impl From<OwnReason> for NotOn {
    fn from(reason: OwnReason) -> Self {
        Self { reason, connect_url: None, fault: None }
    }
}

impl<'a> AskedUpstream<'a> {
    /// The upstream that the question names, in the caller's tenant.
    ///
    /// # Errors
    /// [`OwnReason::UpstreamUnknown`].
    pub(super) fn find(
        tenant_id: &'a TenantId,
        tenant: &'a TenantData,
        caller: Option<Caller<'a>>,
        question: &'a Question<'_>,
        now: i64,
    ) -> Result<Option<Self>, OwnReason> {
        let Some(id) = question.upstream.as_deref() else { return Ok(None) };
        let record = tenant.upstream(id).ok_or(OwnReason::UpstreamUnknown)?;
        let user = caller.and_then(Caller::user_id).map(|user| (HolderKind::User, user));
        let token = caller.and_then(Caller::held_by_token).map(|token| (HolderKind::Token, token));
        let holder = match record.credential {
            CredentialMode::None => None,
            // INVARIANT: for somebody unknown nothing is looked up.
            CredentialMode::Shared => caller.map(|_| (HolderKind::Shared, "")),
            CredentialMode::PerUser => user,
            CredentialMode::PerToken => token,
        };
        let standing = match (record.credential, holder) {
            (CredentialMode::None, _) => Standing::NotNeeded,
            (_, None) => Standing::Missing,
            (_, Some((kind, holder))) => match tenant.credential(&held_by(id, kind, holder)) {
                None => Standing::Missing,
                Some(credential) => standing(credential, now),
            },
        };
        Ok(Some(Self {
            id,
            tenant: tenant_id,
            record,
            granted: caller.is_some_and(|caller| caller.may_reach(id, tenant)),
            anonymous: caller.is_none(),
            speaker: match record.credential {
                CredentialMode::PerToken => token,
                CredentialMode::None | CredentialMode::Shared | CredentialMode::PerUser => user.or(token),
            },
            holder,
            standing,
        }))
    }

    /// What rules see of it.
    pub(super) fn input(&self) -> UpstreamInput<'a> {
        UpstreamInput { id: self.id, granted: self.granted, credential: self.standing.as_str() }
    }

    /// Whose credential an allowed request goes on with, for the record.
    pub(super) fn credential_use(&self) -> Option<CredentialUse> {
        self.holder.map(|(kind, id)| CredentialUse {
            tenant: self.tenant.clone(),
            upstream: self.id.to_owned(),
            holder: Holder::new(kind, id),
            expired: matches!(self.standing, Standing::Expired),
        })
    }

    /// What identifies this caller's connection to this upstream.
    pub(super) fn connection_key(&self) -> Option<String> {
        self.speaker.map(|(kind, id)| connection_key(self.tenant, kind, id, self.id))
    }

    /// Carries out what an allowed request needs, into its header changes.
    ///
    /// # Errors
    /// Why it does not go on after all.
    pub(super) fn carry_out(
        &self,
        question: &Question<'_>,
        rules: &DecisionRules,
        headers: &mut HeaderChanges,
    ) -> Result<(), NotOn> {
        let brokered = self.record.credential != CredentialMode::None;
        if self.anonymous && brokered {
            return Err(OwnReason::TokenMissing.into());
        }
        if !self.granted {
            return Err(OwnReason::UpstreamNotGranted.into());
        }
        let credential = match self.standing {
            Standing::NotNeeded => return Ok(()),
            Standing::Active(credential) => credential,
            Standing::Missing | Standing::Orphaned | Standing::Expired | Standing::Refused => {
                let connect_url = self.connect_url(rules);
                return Err(NotOn { connect_url, ..OwnReason::CredentialMissing.into() });
            }
        };
        let names: Vec<&str> = match &self.record.value_headers {
            Some(names) => names.iter().map(String::as_str).collect(),
            None => vec![&self.record.header],
        };
        headers.take_over(&names);
        match question.delivery {
            Delivery::Refused => return Err(OwnReason::ChannelInsecure.into()),
            Delivery::Assumed => return Ok(()),
            Delivery::Withheld | Delivery::Given => {}
        }
        let opened = self.open(credential, rules).map_err(|fault| NotOn {
            connect_url: self.connect_url(rules),
            fault: Some(fault),
            ..OwnReason::CredentialMissing.into()
        })?;
        if question.delivery == Delivery::Given {
            headers.credential = opened;
        }
        Ok(())
    }

    /// The caller's headers that do not go on.
    pub(super) fn held_back(&self, question: &Question<'_>, rules: &DecisionRules) -> HeaderChanges {
        let mut headers = HeaderChanges::removing(&rules.credential_headers);
        let Some(pass) = &self.record.pass_headers else { return headers };
        let passes = |name: &str| pass.iter().any(|passing| passing == name);
        if self.record.credential == CredentialMode::None {
            // The one way for a caller's own credential to go on: to an upstream that says so, and has none of its own.
            headers.remove.retain(|name| !passes(name));
        }
        let told = question.request.headers.iter().map(|(name, _)| name);
        let held = told.filter(|name| !passes(name) && !is_framing(name));
        headers.remove.extend(held.map(|name| Cow::Owned(name.to_owned())));
        headers.tidy();
        headers.pass = Some(pass.clone());
        headers
    }

    fn open(
        &self,
        credential: &CredentialRecord,
        rules: &DecisionRules,
    ) -> Result<BTreeMap<String, SecretText>, UnusableCredential> {
        let (kind, holder_id) = self.holder.unwrap_or((HolderKind::Shared, ""));
        let upstream = || self.id.to_owned();
        let holder = || Holder::new(kind, holder_id);
        let place =
            SealedFor::Credential { tenant: self.tenant, upstream_id: self.id, holder: kind, holder_id };
        let secret =
            rules.keys.open(place, &credential.sealed).ok_or_else(|| UnusableCredential::DoesNotOpen {
                upstream: upstream(),
                holder: holder(),
                key: credential.sealed.key,
            })?;
        self.record
            .headers_with(secret)
            .ok_or_else(|| UnusableCredential::DoesNotFit { upstream: upstream(), holder: holder() })
    }

    /// Where the holder gets a credential, if that is in the holder's hand.
    fn connect_url(&self, rules: &DecisionRules) -> Option<String> {
        let (kind, id) = self.holder.filter(|(kind, _)| *kind != HolderKind::Shared)?;
        if matches!(self.standing, Standing::Orphaned) {
            return None;
        }
        Some(rules.connect_url.as_ref()?.fill(self.tenant, self.id, kind, id))
    }
}

fn standing(credential: &CredentialRecord, now: i64) -> Standing<'_> {
    match credential.state {
        CredentialState::Orphaned => Standing::Orphaned,
        CredentialState::NeedsReauth => Standing::Refused,
        CredentialState::NeedsUpdate => Standing::Missing,
        // At the second of its expiry it has expired.
        CredentialState::Active if credential.expires_at.is_some_and(|expiry| expiry <= now) => {
            Standing::Expired
        }
        CredentialState::Active => Standing::Active(credential),
    }
}

impl UpstreamRecord {
    /// The headers that go on with this secret; `None` when it is not what the upstream wants.
    fn headers_with(&self, secret: UpstreamSecret) -> Option<BTreeMap<String, SecretText>> {
        let headers = match (secret, &self.value_headers) {
            (UpstreamSecret::Token(token), None) => {
                let (before, behind) = &self.format;
                let token = token.expose();
                // Of the right size at once: a text that grows leaves copies behind.
                let mut value = String::with_capacity(before.len() + token.len() + behind.len());
                value.push_str(before);
                value.push_str(token);
                value.push_str(behind);
                BTreeMap::from([(self.header.clone(), SecretText::new(value))])
            }
            (UpstreamSecret::Headers(mut headers), declared) => {
                let declared = declared.as_deref().unwrap_or(std::slice::from_ref(&self.header));
                headers.retain(|name, _| declared.contains(name));
                if headers.len() != declared.len() {
                    return None;
                }
                headers
            }
            (UpstreamSecret::Token(_), Some(_)) => return None,
        };
        let good = |(name, value): (&String, &SecretText)| {
            // Whoever wrote the row: a credential never says how the message is framed, or for whom it is.
            check_credential_header(name).is_ok() && HeaderValue::from_str(value.expose()).is_ok()
        };
        headers.iter().all(good).then_some(headers)
    }
}

/// Headers that say how a message is framed or where it goes: the gateway's own affair.
fn is_framing(name: &str) -> bool {
    const FRAMING: [&str; 11] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    ];
    name.starts_with(':') || FRAMING.contains(&name)
}

impl<'a> Caller<'a> {
    /// The caller's user.
    fn user_id(self) -> Option<&'a str> {
        match self {
            Self::Token(token) => token.user_id.as_deref(),
            Self::Session(session) => Some(&session.user_id),
        }
    }

    /// The caller's token. The `jti` of a session is the issuer's word, and no token of the data.
    fn held_by_token(self) -> Option<&'a str> {
        match self {
            Self::Token(token) => Some(&token.id),
            Self::Session(_) => None,
        }
    }
}

/// Where a holder gets a credential: a URL with places for whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectUrl(Arc<str>);

impl ConnectUrl {
    /// From a template: `{tenant}`, `{upstream}`, `{holder}` (`user` or `token`) and `{holder_id}` are filled in,
    /// percent-encoded.
    pub fn new(template: &str) -> Self {
        Self(template.into())
    }

    fn fill(&self, tenant: &TenantId, upstream: &str, holder: HolderKind, holder_id: &str) -> String {
        let mut url = String::with_capacity(self.0.len() + 64);
        let mut rest: &str = &self.0;
        // Place by place, so that nothing within an id is taken for a place.
        while let Some((before, behind)) = rest.split_once('{') {
            url.push_str(before);
            let Some((name, after)) = behind.split_once('}') else {
                rest = behind;
                url.push('{');
                break;
            };
            match name {
                "tenant" => url.push_str(tenant.as_str()),
                "upstream" => super::connection::encode(&mut url, upstream),
                "holder" => url.push_str(holder.as_str()),
                "holder_id" => super::connection::encode(&mut url, holder_id),
                other => {
                    url.push('{');
                    url.push_str(other);
                    url.push('}');
                }
            }
            rest = after;
        }
        url.push_str(rest);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectUrl;
    use crate::types::{HolderKind, TenantId};

    #[test]
    fn a_connect_url_is_filled_place_by_place() {
        let fill = |template: &str, upstream: &str, id: &str| {
            ConnectUrl::new(template).fill(&TenantId::default_tenant(), upstream, HolderKind::User, id)
        };
        let template = "https://c.example/{tenant}/{upstream}?h={holder}:{holder_id}&x={x}";
        assert_eq!(
            fill(template, "a/b", "{upstream}"),
            "https://c.example/default/a%2Fb?h=user:%7Bupstream%7D&x={x}"
        );
        assert_eq!(fill("/{", "a", "b"), "/{");
        assert_eq!(fill("/{upstream", "a", "b"), "/{upstream");
        assert_eq!(fill("", "a", "b"), "");
    }
}
