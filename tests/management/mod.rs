//! The management API over HTTP: the real binary, on both databases, sessions by JWT.

mod bad_input;
mod credentials;
mod flows;
mod fresh;
mod grants;
mod mints;
mod openapi;
mod people;
pub mod scene;
mod tenants;
mod tokens;
mod upstream_rows;
mod upstreams;
mod used;
mod walk;

/// Each test on both databases.
macro_rules! on_both_databases {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $test() { super::$test($crate::management::scene::Scene::sqlite()); })+
        }
        mod postgres {
            $(#[test] fn $test() { super::$test($crate::management::scene::Scene::postgres()); })+
        }
    };
}
use on_both_databases;
