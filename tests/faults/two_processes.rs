//! Several processes over one database, and somebody with `psql`.

use std::time::Instant;

use super::{
    scene::{ALLOWED, REVOKE, REVOKED, Scene, UNREVOKE, arguments, until_told},
    watch::Watch,
};
use crate::harness::program::Serving;

#[test]
fn a_row_changed_with_psql_is_decided_by_every_process() {
    let scene = Scene::over_shared_postgres();
    let other = Serving::start(scene.folder.path(), &arguments(&scene.url));
    for _ in 0..3 {
        let watches = [scene.watch("reader"), Watch::over(&other.address, "reader")];
        scene.sql(REVOKE);
        let revoked = Instant::now();
        for serving in [&scene.serving, &other] {
            until_told(serving, "reader", REVOKED);
        }
        for watch in watches {
            watch.end().assert_no_allow_beyond_the_bound(revoked);
        }
        scene.sql(UNREVOKE);
        for serving in [&scene.serving, &other] {
            until_told(serving, "reader", ALLOWED);
        }
    }
}
