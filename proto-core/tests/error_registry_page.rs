//! `docs/spec/errors.md` is made from the registry; this test fails when they differ. `FCP_UPDATE=1` writes the page.

use std::fmt::Write as _;
use std::path::Path;

use fcp_proto_core::error::Code;

fn page() -> String {
    let mut page = String::from(
        "# Errors\n\nMade from the registry in `proto-core/src/error`; `FCP_UPDATE=1 cargo test -p fcp-proto-core --test \
         error_registry_page` writes it.\n\n1xxx input · 2xxx authentication · 3xxx capability · 4xxx zone and flow · 5xxx \
         connector · 6xxx resource · 70xx service · 71xx egress · 72xx other devices · 8xxx node and home · 9xxx ours.\n\n| code | name | meaning | \
         HTTP | exit | retry | next step |\n|---|---|---|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let retry = if code.retryable() { "yes" } else { "no" };
        let (name, meaning, http, next) = (code.name(), code.meaning(), code.http_status(), code.next_step());
        let exit = code.exit_code() as u8;
        writeln!(page, "| {code} | `{name}` | {meaning} | {http} | {exit} | {retry} | {next} |")
            .expect("a string takes it");
    }
    page
}

#[test]
fn the_page_is_the_registry() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/spec/errors.md");
    if std::env::var_os("FCP_UPDATE").is_some() {
        std::fs::write(&path, page()).expect("the page can be written");
    }
    assert_eq!(std::fs::read_to_string(path).expect("the page exists"), page());
}
