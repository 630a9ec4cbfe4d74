//! What is wrong with something that the gateway needs: the same words from the running gateway and from `check --probe`.

use std::mem;

use crate::code::Code;

/// A symptom, its likely cause, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) what: String,
    pub(crate) cause: String,
    pub(crate) fix: String,
}

impl Fault {
    pub(crate) fn new(
        code: Code,
        what: impl Into<String>,
        cause: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { code, what: what.into(), cause: cause.into(), fix: fix.into() }
    }
}

/// The state of a dependency as it was last logged. Only a change is logged, not every probe.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum DependencyState {
    /// Nothing was logged yet.
    #[default]
    Unknown,
    Healthy,
    /// The fault's `what` is left out: it may hold a latency, which differs with every probe.
    Faulty {
        code: Code,
        cause: String,
    },
}

impl DependencyState {
    /// Takes the state of the latest probe. Returns the previous state if the two differ.
    pub(crate) fn change(&mut self, fault: Option<&Fault>) -> Option<Self> {
        let new = fault.map_or(Self::Healthy, |Fault { code, cause, .. }| Self::Faulty {
            code: *code,
            cause: cause.clone(),
        });
        (*self != new).then(|| mem::replace(self, new))
    }

    /// The code of the fault, for the line that says that it is over.
    pub(crate) fn code(&self) -> Option<&'static str> {
        if let Self::Faulty { code, .. } = self { Some(code.text()) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_code_or_cause_is_a_change() {
        let fault = |what: &str, cause: &str| Fault::new(Code::RedisSlow, what, cause, "");
        let mut state = DependencyState::default();
        assert_eq!(state.change(None), Some(DependencyState::Unknown));
        assert_eq!(state.change(None), None);
        assert_eq!(state.change(Some(&fault("61 ms", "far away"))), Some(DependencyState::Healthy));
        assert_eq!(state.change(Some(&fault("62 ms", "far away"))), None);
        assert!(state.change(Some(&fault("62 ms", "busy"))).is_some());
        assert_eq!(state.change(None).and_then(|before| before.code()), Some(Code::RedisSlow.text()));
    }
}
