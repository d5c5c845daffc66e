//! A page that is new in `dist/` is embedded without a clean build.

fn main() {
    println!("cargo::rerun-if-changed=dist");
}
