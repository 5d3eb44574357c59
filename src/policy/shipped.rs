//! The bundle that is built into the program, so that one binary decides without any other file.

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        /// Names within the bundle, and contents.
        pub(super) const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../policies/", $name)))),+];
    };
}

files!(
    "admin_token.rego",
    "anonymous.rego",
    "authzen.rego",
    "global_token.rego",
    "limits/data.json",
    "management.rego",
    "mcp_token.rego",
    "message.rego",
    "overrides.rego",
    "project_token.rego",
    "rate_limits.rego",
    "regate.rego",
    "request.rego",
    "routes/data.json",
    "session.rego",
    "token_projects.rego",
);
