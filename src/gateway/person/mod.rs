//! What the gateway itself has for a person with a browser: logging in and out, the account, the way to MLflow's pages, and
//! what is shown in place of errors about credentials.

mod account;
mod home;
mod login;
mod refusal;

pub use account::account;
pub use home::{home, with_slash};
pub use login::{log_in, log_out, login};
pub(super) use refusal::instead_of;
