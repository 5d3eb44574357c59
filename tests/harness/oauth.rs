//! An authorization server (OAuth 2.1) over HTTP on this machine: strict about what it is asked, and as bad at
//! answering as it is told to be.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    thread::JoinHandle,
};

use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use regate::store::upstreams::OauthSettings;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};

use super::http::send;

/// The client that it knows, with characters that have to be written in another way.
pub const CLIENT_ID: &str = "regate/1 a:b";
pub const CLIENT_SECRET: &str = "hunter2:client+secret %/&";

/// What `/token` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenAnswer {
    /// As it should.
    Good,
    /// A token, with other members: `null` takes one away.
    With(Value),
    /// This status with this body.
    Body(u16, Vec<u8>),
    /// One that leads to itself.
    Redirect,
}

#[derive(Debug)]
struct Code {
    challenge: String,
    redirect_uri: String,
    used: bool,
}

#[derive(Debug)]
struct Behaviour {
    answer: TokenAnswer,
    /// Whether the client has to show its secret, or is public.
    confidential: bool,
    /// Whether a refresh token is good for one time.
    rotates: bool,
    codes: HashMap<String, Code>,
    /// Whether each refresh token is still good.
    refresh: HashMap<String, bool>,
    next: u64,
    calls: usize,
    refreshes: usize,
    reused: usize,
    /// Of each refresh token, how many show it now, and the most that did.
    at_once: HashMap<String, (usize, usize)>,
    /// What the last request to `/token` said.
    last: BTreeMap<String, String>,
}

#[derive(Clone)]
struct Shared {
    behaviour: Arc<Mutex<Behaviour>>,
    held: watch::Sender<bool>,
}

/// A running server. It is gone when this value is.
pub struct OauthServer {
    pub address: String,
    shared: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl OauthServer {
    pub fn start() -> Self {
        let behaviour = Behaviour {
            answer: TokenAnswer::Good,
            confidential: true,
            rotates: true,
            codes: HashMap::new(),
            refresh: HashMap::new(),
            next: 0,
            calls: 0,
            refreshes: 0,
            reused: 0,
            at_once: HashMap::new(),
            last: BTreeMap::new(),
        };
        let shared = Shared { behaviour: Arc::new(Mutex::new(behaviour)), held: watch::channel(false).0 };
        let router = Router::new()
            .route("/authorize", get(authorize))
            .route("/token", post(token).get(elsewhere))
            .with_state(shared.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        let address = told.recv().unwrap().to_string();
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// What an upstream is told about it.
    pub fn settings(&self) -> OauthSettings {
        OauthSettings {
            authorization_endpoint: format!("http://{}/authorize", self.address),
            token_endpoint: format!("http://{}/token", self.address),
            client_id: CLIENT_ID.to_owned(),
            scopes: vec!["read".to_owned(), "write".to_owned()],
            resource: Some("https://mcp.example/github".to_owned()),
            issuer: None,
        }
    }

    /// From now on `/token` answers this.
    pub fn answers(&self, answer: TokenAnswer) {
        self.behaviour().answer = answer;
    }

    /// From now on the client is a public one.
    pub fn is_public(&self) {
        self.behaviour().confidential = false;
    }

    /// From now on refresh tokens stay as they are.
    pub fn does_not_rotate(&self) {
        self.behaviour().rotates = false;
    }

    /// From now on this refresh token is good.
    pub fn knows(&self, refresh_token: &str) {
        self.behaviour().refresh.insert(refresh_token.to_owned(), true);
    }

    /// No refresh token is good any more.
    pub fn revokes_all(&self) {
        self.behaviour().refresh.values_mut().for_each(|good| *good = false);
    }

    /// Lets requests to `/token` wait, or go on.
    pub fn holds(&self, held: bool) {
        self.shared.held.send_replace(held);
    }

    /// A person consents where they were led to, and is sent back: with a code and a state.
    pub fn consent(&self, url: &str, redirect_uri: &str) -> (String, String) {
        let place = url.strip_prefix(&format!("http://{}", self.address)).unwrap();
        let answer = send(&self.address, "GET", place, &[], b"");
        assert_eq!(answer.status, 302, "{}", String::from_utf8_lossy(&answer.body));
        let back = answer.header("location").unwrap().to_owned();
        let query = back.strip_prefix(redirect_uri).unwrap().strip_prefix('?').unwrap();
        let mut found = pairs(query.as_bytes());
        (found.remove("code").unwrap(), found.remove("state").unwrap())
    }

    /// Requests to `/token` that were begun.
    pub fn calls(&self) -> usize {
        self.behaviour().calls
    }

    /// Refresh tokens that were taken for new ones.
    pub fn refreshes(&self) -> usize {
        self.behaviour().refreshes
    }

    /// Requests with a refresh token that had been used.
    pub fn reused(&self) -> usize {
        self.behaviour().reused
    }

    /// The most requests that showed one refresh token at the same time.
    pub fn most_at_once(&self) -> usize {
        self.behaviour().at_once.values().map(|(_, most)| *most).max().unwrap_or(0)
    }

    /// A parameter of the last request to `/token`.
    pub fn last(&self, name: &str) -> Option<String> {
        self.behaviour().last.get(name).cloned()
    }

    fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.shared.behaviour.lock().unwrap()
    }
}

impl Drop for OauthServer {
    fn drop(&mut self) {
        self.holds(false);
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn pairs(text: &[u8]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(text).into_owned() {
        assert!(found.insert(name, value).is_none(), "a parameter twice (RFC 6749 section 3.1)");
    }
    found
}

async fn authorize(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let asked = pairs(query.unwrap_or_default().as_bytes());
    let says = |name: &str| asked.get(name).map_or("", String::as_str);
    let good = says("response_type") == "code"
        && says("client_id") == CLIENT_ID
        && says("code_challenge_method") == "S256"
        && says("code_challenge").len() == 43
        && says("state").len() >= 43
        && says("scope") == "read write"
        && says("resource") == "https://mcp.example/github"
        && !says("redirect_uri").is_empty();
    if !good {
        let names: Vec<_> = asked.keys().collect();
        return (StatusCode::BAD_REQUEST, format!("{names:?}")).into_response();
    }
    let mut behaviour = shared.behaviour.lock().unwrap();
    behaviour.next += 1;
    let code = format!("hunter2-code-{}", behaviour.next);
    let redirect_uri = says("redirect_uri").to_owned();
    let back = form_urlencoded::Serializer::new(format!("{redirect_uri}?"))
        .append_pair("code", &code)
        .append_pair("state", says("state"))
        .finish();
    let challenge = says("code_challenge").to_owned();
    behaviour.codes.insert(code, Code { challenge, redirect_uri, used: false });
    (StatusCode::FOUND, [(header::LOCATION, back)]).into_response()
}

/// Whoever follows a redirect comes here.
async fn elsewhere(State(shared): State<Shared>) -> Response {
    shared.behaviour.lock().unwrap().reused += 1000;
    StatusCode::OK.into_response()
}

async fn token(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let asked = pairs(&body);
    let shown = asked.get("refresh_token").cloned();
    {
        let mut behaviour = shared.behaviour.lock().unwrap();
        behaviour.calls += 1;
        behaviour.last = asked.clone();
        if let Some(shown) = &shown {
            let (now, most) = behaviour.at_once.entry(shown.clone()).or_default();
            *now += 1;
            *most = (*most).max(*now);
        }
    }
    let mut held = shared.held.subscribe();
    held.wait_for(|held| !held).await.unwrap();
    let mut behaviour = shared.behaviour.lock().unwrap();
    if let Some((now, _)) = shown.and_then(|shown| behaviour.at_once.get_mut(&shown)) {
        *now -= 1;
    }
    let answer = behaviour.answer.clone();
    match answer {
        TokenAnswer::Body(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        TokenAnswer::Redirect => (StatusCode::FOUND, [(header::LOCATION, "/token")]).into_response(),
        TokenAnswer::Good => behaviour.give(&headers, &asked, &json!({})),
        TokenAnswer::With(members) => behaviour.give(&headers, &asked, &members),
    }
}

fn refused(error: &str) -> Response {
    // The description is what nobody may repeat.
    let body = json!({"error": error, "error_description": "hunter2"}).to_string();
    let status = if error == "invalid_client" { 401 } else { 400 };
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl Behaviour {
    fn give(&mut self, headers: &HeaderMap, asked: &BTreeMap<String, String>, members: &Value) -> Response {
        let says = |name: &str| asked.get(name).map_or("", String::as_str);
        if !self.knows_client(headers, asked) {
            return refused("invalid_client");
        }
        if says("resource") != "https://mcp.example/github" {
            return refused("invalid_request");
        }
        match says("grant_type") {
            "authorization_code" => {
                let verifier = URL_SAFE_NO_PAD.encode(Sha256::digest(says("code_verifier")));
                let Some(code) = self.codes.get_mut(says("code")) else { return refused("invalid_grant") };
                if code.used || code.redirect_uri != says("redirect_uri") || code.challenge != verifier {
                    return refused("invalid_grant");
                }
                code.used = true;
            }
            "refresh_token" => match self.refresh.get_mut(says("refresh_token")) {
                Some(good) if *good => {
                    *good = !self.rotates;
                    self.refreshes += 1;
                }
                Some(_) => {
                    self.reused += 1;
                    return refused("invalid_grant");
                }
                None => return refused("invalid_grant"),
            },
            _ => return refused("unsupported_grant_type"),
        }
        self.next += 1;
        let mut answer = json!({
            "access_token": format!("hunter2-access-{}", self.next), "token_type": "Bearer", "expires_in": 3600,
        });
        let answer_members = answer.as_object_mut().unwrap();
        if self.rotates || says("grant_type") == "authorization_code" {
            let refresh = format!("hunter2-refresh-{}", self.next);
            self.refresh.insert(refresh.clone(), true);
            answer_members.insert("refresh_token".to_owned(), refresh.into());
        }
        for (name, value) in members.as_object().unwrap() {
            answer_members.insert(name.clone(), value.clone());
        }
        answer_members.retain(|_, value| !value.is_null());
        ([(header::CONTENT_TYPE, "application/json;charset=UTF-8")], answer.to_string()).into_response()
    }

    /// By HTTP Basic (RFC 6749 section 2.3.1), or, for a public client, by its name in the body; never both.
    fn knows_client(&self, headers: &HeaderMap, asked: &BTreeMap<String, String>) -> bool {
        let Some(shown) = headers.get(header::AUTHORIZATION) else {
            return !self.confidential
                && asked.get("client_id").is_some_and(|id| id == CLIENT_ID)
                && !asked.contains_key("client_secret");
        };
        let decoded = |text: &str| -> String {
            form_urlencoded::parse(text.as_bytes()).map(|(name, _)| name.into_owned()).collect()
        };
        let shown = shown.to_str().unwrap().strip_prefix("Basic ").unwrap();
        let shown = String::from_utf8(STANDARD.decode(shown).unwrap()).unwrap();
        let (id, secret) = shown.split_once(':').unwrap();
        self.confidential && decoded(id) == CLIENT_ID && decoded(secret) == CLIENT_SECRET
    }
}
