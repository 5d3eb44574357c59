//! The names of the management calls, as rules see them.

macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)+) => {
        /// A call of the management API: `input.management.operation`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::api) enum Operation { $($(#[$doc])* $variant),+ }

        impl Operation {
            /// All of them.
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name.
            pub(in crate::api) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Whether it reads or writes rows of the store. The others are about the process, and answer without it.
            pub(in crate::api) const fn is_about_rows(self) -> bool {
                !matches!(self,
                    Self::ReadPolicies
                        | Self::ReloadPolicies
                        | Self::Explain
                        | Self::ListDecisions
                        | Self::ReadDecision
                )
            }
        }
    };
}

operations! {
    /// `POST /v1/tokens`
    MintToken = "tokens.mint";
    /// `GET /v1/tokens`
    ListTokens = "tokens.list";
    /// `GET /v1/tokens/{id}`
    ReadToken = "tokens.read";
    /// `PATCH /v1/tokens/{id}`
    ChangeToken = "tokens.change";
    /// `DELETE /v1/tokens/{id}`
    RevokeToken = "tokens.revoke";
    /// `PUT /v1/tokens/{id}/trigger`
    GrantTrigger = "tokens.grant_trigger";
    /// `DELETE /v1/tokens/{id}/trigger`
    WithdrawTrigger = "tokens.withdraw_trigger";
    /// `GET /v1/tokens/{id}/grants`
    ReadTokenGrants = "tokens.read_grants";
    /// `PUT /v1/tokens/{id}/grants`
    PutTokenGrants = "tokens.put_grants";
    /// `GET /v1/upstreams`
    ListUpstreams = "upstreams.list";
    /// `GET /v1/upstreams/{id}`
    ReadUpstream = "upstreams.read";
    /// `PUT /v1/upstreams/{id}`
    PutUpstream = "upstreams.put";
    /// `DELETE /v1/upstreams/{id}`
    RemoveUpstream = "upstreams.remove";
    /// `PUT /v1/upstreams/{id}/oauth/client-secret`
    PutClientSecret = "upstreams.put_client_secret";
    /// `DELETE /v1/upstreams/{id}/oauth/client-secret`
    RemoveClientSecret = "upstreams.remove_client_secret";
    /// `GET /v1/upstreams/{id}/grants`
    ReadUpstreamGrants = "upstreams.read_grants";
    /// `PUT /v1/upstreams/{id}/grants`
    PutUpstreamGrants = "upstreams.put_grants";
    /// `GET /v1/credentials`
    ListCredentials = "credentials.list";
    /// `GET /v1/upstreams/{id}/credentials/…`
    ReadCredential = "credentials.read";
    /// `PUT /v1/upstreams/{id}/credentials/…`
    PutCredential = "credentials.put";
    /// `DELETE /v1/upstreams/{id}/credentials/…`
    RemoveCredential = "credentials.remove";
    /// `GET /v1/credential-flows`
    ListFlows = "flows.list";
    /// `POST /v1/credential-flows`
    BeginFlow = "flows.begin";
    /// `POST /v1/credential-flows/{id}`
    CompleteFlow = "flows.complete";
    /// `DELETE /v1/credential-flows/{id}`
    CancelFlow = "flows.cancel";
    /// `GET /v1/users`
    ListUsers = "users.list";
    /// `GET /v1/users/{id}`
    ReadUser = "users.read";
    /// `PUT /v1/users/{id}`
    PutUser = "users.put";
    /// `DELETE /v1/users/{id}`
    RemoveUser = "users.remove";
    /// `GET /v1/projects`
    ListProjects = "projects.list";
    /// `GET /v1/projects/{id}`
    ReadProject = "projects.read";
    /// `PUT /v1/projects/{id}`
    PutProject = "projects.put";
    /// `DELETE /v1/projects/{id}`
    RemoveProject = "projects.remove";
    /// `GET /v1/projects/{id}/collaborators`
    ListCollaborators = "collaborators.list";
    /// `GET /v1/projects/{id}/collaborators/{user_id}`
    ReadCollaborator = "collaborators.read";
    /// `PUT /v1/projects/{id}/collaborators/{user_id}`
    PutCollaborator = "collaborators.put";
    /// `DELETE /v1/projects/{id}/collaborators/{user_id}`
    RemoveCollaborator = "collaborators.remove";
    /// `POST /v1/import`
    Import = "import";
    /// `GET /v1/policies`
    ReadPolicies = "policies.read";
    /// `POST /v1/policies/reload`
    ReloadPolicies = "policies.reload";
    /// `GET /v1/decisions`
    ListDecisions = "decisions.list";
    /// `GET /v1/decisions/{id}`
    ReadDecision = "decisions.read";
    /// `POST /v1/explain`
    Explain = "explain";
}

#[cfg(test)]
mod tests {
    use super::Operation;
    use crate::decision::schema::OPERATIONS;

    #[test]
    fn rules_are_checked_against_these_operations() {
        let mut names: Vec<&str> = Operation::ALL.iter().map(|operation| operation.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, OPERATIONS);
    }
}
