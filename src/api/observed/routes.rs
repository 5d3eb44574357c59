//! Which route a request takes, for the few requests that are told of.

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request},
    http::{Method, Uri},
    middleware::{Next, from_fn},
    response::Response,
};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

/// The routes of a listener, none of which does anything but say its pattern: so the requests that are answered do not carry
/// it about.
#[derive(Clone)]
pub(in crate::api) struct Routes(TowerToHyperService<Router>);

impl Routes {
    /// Those of a listener's service.
    pub fn of(router: &Router) -> Self {
        Self(TowerToHyperService::new(router.clone().layer(from_fn(say))))
    }

    /// The pattern of the route, such as `/v1/tokens/{id}`; `None` where there is none.
    pub async fn find(&self, method: &Method, uri: &Uri) -> Option<MatchedPath> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        // It has no errors.
        let mut said = self.0.call(request).await.ok()?;
        said.extensions_mut().remove()
    }
}

async fn say(request: Request, _: Next) -> Response {
    let mut response = Response::new(Body::empty());
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        response.extensions_mut().insert(route.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::Method, routing::post};

    use super::Routes;

    #[tokio::test]
    async fn a_route_says_its_pattern_and_does_nothing_else() {
        async fn never() {
            panic!("it was called");
        }
        let router =
            Router::new().route("/a/{id}", post(never)).route("/b/{*rest}", post(never)).fallback(never);
        let routes = Routes::of(&router);
        for (method, path, expected) in [
            (Method::POST, "/a/secret?q=secret", Some("/a/{id}")),
            (Method::GET, "/a/secret", Some("/a/{id}")),
            (Method::POST, "/b/secret/more", Some("/b/{*rest}")),
            (Method::POST, "/secret", None),
            (Method::OPTIONS, "*", None),
        ] {
            let found = routes.find(&method, &path.parse().unwrap()).await;
            assert_eq!(found.as_ref().map(|route| route.as_str()), expected, "{method} {path}");
        }
    }
}
