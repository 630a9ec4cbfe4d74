//! The gateway's own pages, which need no script and load nothing from anywhere. One has a script of a line.

mod account;
mod error;
mod leave;
mod login;
mod sheet;

pub(crate) use account::{Account, account};
pub(crate) use error::error;
pub(crate) use leave::leave;
pub(crate) use login::{Sentence, in_frame, login, no_login};
pub(crate) use sheet::CLEAR_SITE_DATA;
