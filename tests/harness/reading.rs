//! What a workload gets that reads secrets, and what is on record about it: tests of every backend ask
//! this way.

use super::{Answer, Gateway};

/// Fakes of backends begin what they write for people with it. None of that may reach a caller.
const FOR_PEOPLE: &str = "words about";

impl Gateway {
    /// Reads a secret, or lists a folder, as `alice`.
    pub async fn read(&self, path: &str) -> Answer {
        self.get(&format!("/v1/secrets/{path}"), &self.token("alice")).await
    }

    /// The status of an answer, and the code on record.
    #[must_use]
    pub fn outcome(&self, answer: &Answer) -> (u16, String) {
        let said = String::from_utf8_lossy(&answer.body);
        assert!(!said.contains(FOR_PEOPLE), "{said}");
        let code = self.closing(answer)["code"].as_str().expect("a code").to_owned();
        (answer.status.as_u16(), code)
    }

    /// Reads one path after the other: each has this status and this code.
    pub async fn answers(&self, expected: &[(&str, u16, &str)]) {
        for (path, status, code) in expected {
            let found = self.outcome(&self.read(path).await);
            assert_eq!(found, (*status, (*code).to_owned()), "{path}");
        }
    }

    /// The names in a folder, page by page.
    pub async fn pages(&self, folder: &str) -> Vec<serde_json::Value> {
        let mut pages = Vec::new();
        let mut query = format!("{folder}?list");
        loop {
            let page = self.read(&query).await;
            assert_eq!(page.status, 200, "{query}: {:?}", page.json);
            pages.push(page.json["names"].clone());
            let Some(next) = page.json["next"].as_str() else { return pages };
            assert!(pages.len() < 10, "{query} has no end");
            query = format!("{folder}?list&next={next}");
        }
    }
}
