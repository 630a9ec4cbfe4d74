//! Who may change what is another's: administrators, by their scopes and nothing else.

use super::stage::{SET_TAG, Stage, gift, log, send};

#[actix_web::test]
async fn where_scopes_are_not_enforced_nobody_is_an_administrator_for_that() {
    for mode in ["off", "report"] {
        let stage = Stage::set().await;
        let gateway = stage.gateway(&[("POLICY__MODE", mode)]).await;
        assert_eq!(log(&gateway, "bob", "a").await.reason(), "not_owner", "{mode}");
        let taken = send(&gateway, "bob", SET_TAG, &gift("1", "bob")).await;
        assert_eq!(taken.reason(), "not_owner", "{mode}");
        assert!(stage.reached("POST ", "").is_empty(), "{mode}");
    }
}

#[actix_web::test]
async fn nor_is_anybody_where_owners_are_not_enforced_either() {
    for (mode, ownership) in [("off", "off"), ("off", "report"), ("report", "off"), ("report", "report")] {
        let stage = Stage::set().await;
        let gateway = stage.gateway(&[("POLICY__MODE", mode), ("POLICY__OWNERSHIP", ownership)]).await;
        let taken = send(&gateway, "bob", SET_TAG, &gift("1", "bob")).await;
        assert_eq!(taken.reason(), "not_owner", "{mode} {ownership}");
        assert!(stage.reached("POST ", "").is_empty(), "{mode} {ownership}");
    }
}

#[actix_web::test]
async fn an_administrator_is_one_in_every_mode() {
    for mode in ["off", "report", "enforce"] {
        let stage = Stage::set().await;
        let gateway = stage.gateway(&[("POLICY__MODE", mode)]).await;
        assert_eq!(log(&gateway, "admin", "a").await.status, 200, "{mode}");
        assert_eq!(send(&gateway, "admin", SET_TAG, &gift("1", "bob")).await.status, 200, "{mode}");
    }
}
