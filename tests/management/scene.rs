//! A service with a small organisation in it, another tenant beside it, and an issuer of sessions.

use std::{
    fs,
    time::{Duration, Instant},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use regate::auth;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    http::{Answer, send},
    policies, postgres,
    program::{Serving, run, stderr, stdout},
    record,
};

const ISSUER: &str = "https://login.example";
const SECRET: &[u8] = b"a shared secret of the tests, long enough";

/// What `regate.toml` says beside the database.
const SETTINGS: &str = r#"
[tokens]
last_used_interval = "50ms"

[[issuers]]
issuer = "https://login.example"
shared_secret_file = "secret"
audience = "regate"
tenant_claim = "tenant"
"#;

const CREDENTIALS: &str = "[credentials]\nkey_file = \"keys\"\nredirect_uris = [\"https://gateway.example/consented\"]\nloopback_endpoints = true\n";

/// A running service.
pub struct Scene {
    pub serving: Serving,
    pub folder: TempDir,
    pub url: String,
    /// The first admin token of the tenant `default`, from the command line.
    pub admin: String,
    /// The same of `acme`.
    pub acme_admin: String,
}

/// `u1` owns p1, `u2` administers it, `u3` develops, `u4` looks; `root` administers the organisation; `gone` is
/// disabled; `new` works on nothing. `acme` has people and projects of the same names.
fn document() -> Value {
    json!({
        "tenants": [{"id": "default"}, {"id": "acme"}],
        "users": [
            {"id": "u1"}, {"id": "u2"}, {"id": "u3"}, {"id": "u4"}, {"id": "new"}, {"id": "root", "role": "admin"},
            {"id": "gone", "role": "admin", "disabled": true},
            {"id": "u1", "tenant": "acme"}, {"id": "root", "role": "admin", "tenant": "acme"},
        ],
        "projects": [
            {"id": "p1", "name": "one"}, {"id": "p2", "name": "two"}, {"id": "open", "public": true},
            {"id": "p1", "tenant": "acme"}, {"id": "p9", "tenant": "acme"},
        ],
        "collaborators": [
            {"project_id": "p1", "user_id": "u1", "role": "owner"},
            {"project_id": "p1", "user_id": "u2", "role": "administrator"},
            {"project_id": "p1", "user_id": "u3", "role": "developer"},
            {"project_id": "p1", "user_id": "u4", "role": "viewer"},
            {"project_id": "p1", "user_id": "gone", "role": "owner"},
            {"project_id": "p9", "user_id": "u1", "role": "owner", "tenant": "acme"},
        ],
        "tokens": [{
            "id": "foreign", "kind": "mcp", "name": "key of another system", "user_id": "u3",
            "sha256": auth::hash("ib_mcp_test").to_string(),
        }],
    })
}

impl Scene {
    /// On a SQLite file.
    pub fn sqlite() -> Self {
        Self::over("sqlite://regate.sqlite", "")
    }

    /// In a database of the Postgres that all tests share.
    pub fn postgres() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Self::over(&runtime.block_on(postgres::new_database()), "")
    }

    /// In this database, with more settings. Credentials are sealed with a key of its own unless they say otherwise.
    pub fn over(url: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = run(folder.path(), &["credentials", "new-key", "--output", "keys"], "");
        assert!(made.status.success(), "{}", stderr(&made));
        let credentials = if settings.contains("[credentials]") { "" } else { CREDENTIALS };
        fs::write(folder.path().join("secret"), SECRET).unwrap();
        fs::write(folder.path().join("regate.toml"), format!("{settings}\n{credentials}\n{SETTINGS}"))
            .unwrap();
        fs::write(folder.path().join("rows.json"), document().to_string()).unwrap();
        let imported = run(folder.path(), &["import", "rows.json", "--database-url", url], "");
        assert!(imported.status.success(), "{}", stderr(&imported));
        let mint = |tenant| {
            let arguments = [
                "token",
                "mint",
                "--kind",
                "admin",
                "--name",
                "first",
                "--tenant",
                tenant,
                "--database-url",
                url,
            ];
            let minted = run(folder.path(), &arguments, "");
            assert!(minted.status.success(), "{}", stderr(&minted));
            stdout(&minted).trim_end().to_owned()
        };
        let (admin, acme_admin) = (mint("default"), mint("acme"));
        let mut arguments = vec!["--config", "regate.toml", "--database-url", url];
        // Unless a test has rules of its own.
        let settings = fs::read_to_string(folder.path().join("regate.toml")).unwrap_or_default();
        if !settings.contains("[policy]") {
            policies::with_high_limits(folder.path());
            arguments.extend(["--policies", "policies"]);
        }
        let serving = Serving::start(folder.path(), &arguments);
        Self { serving, folder, url: url.to_owned(), admin, acme_admin }
    }

    /// The database's URL, from whatever folder.
    pub fn database_url(&self) -> String {
        match self.url.strip_prefix("sqlite://") {
            Some(file) => format!("sqlite://{}", self.folder.path().join(file).display()),
            None => self.url.clone(),
        }
    }

    /// A session of a user of the tenant `default`.
    pub fn session(&self, user: &str) -> String {
        session_of(user, "default")
    }

    /// A call with this credential.
    pub fn call(&self, credential: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let authorization = format!("Bearer {credential}");
        let body = body.map(Value::to_string).unwrap_or_default();
        let headers = [("authorization", authorization.as_str())];
        send(&self.serving.address, method, path, &headers, body.as_bytes())
    }

    /// The same, which must be answered with this status; gives what was answered.
    pub fn expect(
        &self,
        status: u16,
        credential: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Value {
        let answer = self.call(credential, method, path, body);
        let told = answer.json();
        assert_eq!(answer.status, status, "{method} {path}: {}", without_secrets(&told));
        if status >= 400 {
            assert_eq!((&told["allow"], &told["status"]), (&json!(false), &json!(status)), "{told}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        } else {
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{method} {path}");
        }
        told
    }

    /// Mints as the operator of `default`; gives the id and the token.
    pub fn mint(&self, body: &Value) -> (String, String) {
        self.mint_as(&self.admin, body)
    }

    /// The same as somebody else.
    pub fn mint_as(&self, credential: &str, body: &Value) -> (String, String) {
        let minted = self.expect(201, credential, "POST", "/v1/tokens", Some(body));
        let text = |field: &str| minted[field].as_str().unwrap().to_owned();
        (text("id"), text("token"))
    }

    /// Makes an upstream, or changes one, as the operator.
    pub fn upstream(&self, id: &str, body: &Value) -> Value {
        let answer = self.call(&self.admin, "PUT", &format!("/v1/upstreams/{id}"), Some(body));
        assert!(matches!(answer.status, 200 | 201), "{id}: {}", answer.json());
        answer.json()
    }

    /// What a gateway is told: allowed or not, and why.
    pub fn decide(&self, credential: &str, method: &str, path: &str) -> (bool, String) {
        let told = self.decision(credential, method, path);
        (told["allow"] == true, told["reason"].as_str().unwrap().to_owned())
    }

    /// The whole decision.
    pub fn decision(&self, credential: &str, method: &str, path: &str) -> Value {
        let question = json!({"token": credential, "request": {"method": method, "path": path}});
        crate::harness::http::decide(&self.serving.address, &question)
    }

    /// Looks until what is found is what is wanted.
    pub fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "it does not come: {}", self.serving.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains(".sqlite") {
                record::rows(&fs::read(path).unwrap_or_default());
            }
        }
    }
}

/// A session of a user, good for a long time.
pub fn session_of(user: &str, tenant: &str) -> String {
    session_with(user, tenant, &json!({}))
}

/// The same with some claims changed.
pub fn session_with(user: &str, tenant: &str, changed: &Value) -> String {
    let mut claims = json!({
        "iss": ISSUER, "aud": "regate", "sub": user, "tenant": tenant, "exp": 4_000_000_000_u32, "roles": ["admin"],
    });
    claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
    let key = EncodingKey::from_secret(SECRET);
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

/// What may stand in a message of a test: not the token that an answer shows once.
fn without_secrets(answer: &Value) -> Value {
    let mut shown = answer.clone();
    if let Some(token) = shown.get_mut("token") {
        *token = "[shown once]".into();
    }
    shown
}

/// The code of a problem.
pub fn code(problem: &Value) -> &str {
    problem["code"].as_str().unwrap()
}
