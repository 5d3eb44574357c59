//! Tells cargo that the migrations are embedded in the program: a new file rebuilds it.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
