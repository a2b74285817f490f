//! What a check says that found nothing wrong.

use crate::Report;
use crate::http::Response;

impl Report {
    /// Nothing to remark.
    #[must_use]
    pub const fn sound() -> Self {
        Self { remarks: Vec::new(), metadata: Vec::new() }
    }

    /// With a remark for the operator.
    #[must_use]
    pub fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remarks.push(remark.into());
        self
    }

    /// With the version of the backend.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.metadata.push(("version".to_owned(), version.into()));
        self
    }

    /// What the answer to a listing shows that was made only to see who the gateway is taken for. That
    /// it is not allowed (403) is worth a remark; none, if the backend refuses otherwise.
    #[must_use]
    pub fn of_listing(answer: &Response, forbidden: &str) -> Option<Self> {
        match answer.status {
            200 => Some(Self::sound()),
            403 => Some(Self::sound().remark(forbidden)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_need_not_be_allowed() {
        let of = |status| {
            let answer = Response { status, headers: Vec::new(), body: Vec::new() };
            Report::of_listing(&answer, "may not list").map(|report| report.remarks)
        };
        assert_eq!(of(200), Some(Vec::new()));
        assert_eq!(of(403), Some(vec!["may not list".to_owned()]));
        assert_eq!([of(401), of(404), of(500)], [None, None, None]);
    }
}
