//! The dbt project is part of the binary: a change in its folders, a new file too, makes this crate stale.

fn main() {
    for path in ["dbt_project.yml", "models", "macros", "tests"] {
        println!("cargo:rerun-if-changed=../../dbt/{path}");
    }
}
