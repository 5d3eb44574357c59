//! Whatever happens to regate, Envoy denies.

use std::time::{Duration, Instant};

use super::{
    super::scene::{get, silent},
    Gate, Service,
};
use crate::harness::{behind::Behind, envoy::Envoy};

super::over_grpc_and_http!(without_regate_all_is_denied, a_silent_regate_denies_in_time);

fn without_regate_all_is_denied(service: Service) {
    let mut gate = Gate::new(service);
    let (address, token) = (gate.address(), gate.stage.global.clone());
    let path = "/api/v1/projects/p1";
    assert_eq!(get(&address, Some(&token), path, &[]).status, 200);
    gate.stage.upstream.take();

    // Another token than a gateway's is nobody's word.
    let regate = gate.stage.regate();
    let asked = if service == Service::Grpc { &regate.serving.grpc } else { &regate.serving.address };
    for bad in ["", "rgt_gateway_nothing", &token] {
        let envoy = Envoy::start(service.example(), asked, &gate.stage.upstream.address, bad);
        assert_eq!(get(&envoy.address(), Some(&token), path, &[]).status, 403);
        assert!(get(&envoy.address(), None, "/health", &[]).status >= 400);
    }

    gate.stage.stop_regate();
    assert_eq!(get(&address, Some(&token), path, &[]).status, 403);
    assert_eq!(get(&address, None, "/health", &[]).status, 403);
    gate.stage.assert_nothing_arrived();
}

fn a_silent_regate_denies_in_time(service: Service) {
    let (_held, regate) = silent();
    let behind = Behind::start();
    let envoy = Envoy::start(service.example(), &regate, &behind.address, "none");
    let began = Instant::now();
    let denied = get(&envoy.address(), None, "/health", &[]);
    assert_eq!(denied.status, 403);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(behind.take().is_empty());
}
