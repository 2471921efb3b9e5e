//! The contract and what is served are the same.

use fcp_api::routes::ROUTES;

use super::Table;

#[test]
fn every_route_of_the_contract_is_served_once_and_in_its_order() {
    let served: Vec<_> = Table::names().collect();
    let declared: Vec<_> = ROUTES.iter().map(|route| route.name).collect();
    assert_eq!(served, declared);
}
