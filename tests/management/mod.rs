//! The management API over HTTP: the real binary, on both databases, sessions by JWT.

mod bad_input;
mod fresh;
mod mints;
mod openapi;
mod people;
pub mod scene;
mod tenants;
mod tokens;
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
