//! The gateway's own pages, which need no script and load nothing from anywhere.

mod account;
mod error;
mod login;
mod sheet;

pub(crate) use account::{Account, account};
pub(crate) use error::error;
pub(crate) use login::{Sentence, in_frame, login, no_login};
pub(crate) use sheet::CLEAR_SITE_DATA;
