//! What to create in a cloud, so that it believes a target's assertions: always with a condition on
//! `sub` and one on `aud`, since the issuer alone is every target of the gateway.

use serde_json::{Value, json};

use super::{Cloud, Step, quoted, told};
use crate::app::targets::{Subject, TargetView};
use crate::cli::failure::Failure;
use crate::issuer::caller_subject;

/// What to do, in order; `callers` are those that assertions may name.
pub(super) fn steps(view: &TargetView, callers: &[String]) -> Result<Vec<Step>, Failure> {
    if view.is_chained {
        return Err(Failure::new(format!("`{}` shows no assertion", view.target)).with_help(
            "it asks with another target's session: let the role trust that target's role",
        ));
    }
    let subjects = subjects(view, callers)?;
    match Cloud::of(view) {
        Some(Cloud::Aws) => aws(view, &subjects),
        Some(Cloud::Google) => google(view, &subjects),
        Some(Cloud::Azure) => azure(view, &subjects),
        None => Ok(facts(view, &subjects)),
    }
}

fn subjects(view: &TargetView, callers: &[String]) -> Result<Vec<String>, Failure> {
    match (&view.subject, callers) {
        (Subject::Gateway(subject), []) => Ok(vec![subject.clone()]),
        (Subject::Gateway(_), _) => {
            Err(Failure::new(format!("assertions of `{}` name no callers", view.target))
                .with_help("leave --caller out, or set `subject = \"caller\"`"))
        }
        (Subject::Caller { .. }, []) => {
            Err(Failure::new(format!("assertions of `{}` name callers", view.target))
                .with_help("name those that the cloud is to believe: --caller ISSUER/SUBJECT"))
        }
        (Subject::Caller { longest, hashed }, callers) => callers
            .iter()
            .map(|caller| {
                caller_subject(caller, *longest, *hashed).map_err(|_| {
                    Failure::new(format!("`{caller}` is longer than {longest} bytes"))
                        .with_help("it gets no token; see `max_subject` and `long_subject`")
                })
            })
            .collect(),
    }
}

/// One text, or the list of them.
fn one_or_all(subjects: &[String]) -> Value {
    match subjects {
        [one] => json!(one),
        all => json!(all),
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html>
fn aws(view: &TargetView, subjects: &[String]) -> Result<Vec<Step>, Failure> {
    let arn = told(view, "role_arn")?;
    let unsound = || Failure::new(format!("`{arn}` is not the ARN of a role"));
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = *parts else { return Err(unsound()) };
    let role = resource.strip_prefix("role/").and_then(|path| path.rsplit('/').next());
    let role = role.filter(|role| !role.is_empty()).ok_or_else(unsound)?;
    let provider = aws_provider(&view.issuer)?;
    let mut actions = vec!["sts:AssumeRoleWithWebIdentity"];
    if view.aws_claims {
        actions.extend((!view.attributes.is_empty()).then_some("sts:TagSession"));
        actions.push("sts:SetSourceIdentity");
    }
    let actions: Vec<String> = actions.into_iter().map(str::to_owned).collect();
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {
                "Federated": format!("arn:{partition}:iam::{account}:oidc-provider/{provider}"),
            },
            "Action": one_or_all(&actions),
            "Condition": { "StringEquals": {
                format!("{provider}:aud"): view.audience,
                format!("{provider}:sub"): one_or_all(subjects),
            } },
        }],
    });
    Ok(vec![
        Step::Run {
            why: "The identity provider, once an account",
            command: format!(
                "aws iam create-open-id-connect-provider \\\n    --url {} --client-id-list {}",
                quoted(&view.issuer),
                quoted(&view.audience)
            ),
        },
        Step::Write {
            why: "The role's trust policy",
            file: "trust-policy.json".to_owned(),
            text: format!("{policy:#}"),
        },
        Step::Run {
            why: "The role; if there is one, `update-assume-role-policy --policy-document`",
            command: format!(
                "aws iam create-role --role-name {} \\\n    \
                 --assume-role-policy-document file://trust-policy.json",
                quoted(role)
            ),
        },
    ])
}

/// The issuer as AWS names it: without the scheme. It takes `https` and no port.
fn aws_provider(issuer: &str) -> Result<&str, Failure> {
    let rest = issuer.strip_prefix("https://").map(|rest| rest.trim_end_matches('/'));
    rest.filter(|rest| !rest.contains([':', '?']) && issuer.len() <= 255).ok_or_else(|| {
        Failure::new(format!("AWS takes no issuer such as `{issuer}`"))
            .with_help("set `issuer.origin` to an https URL without a port, of 255 bytes at most")
    })
}

/// <https://cloud.google.com/iam/docs/workload-identity-federation-with-other-providers>
fn google(view: &TargetView, subjects: &[String]) -> Result<Vec<Step>, Failure> {
    let provider = told(view, "provider")?;
    let parts: Vec<&str> = provider.split('/').collect();
    let ["projects", number, "locations", "global", "workloadIdentityPools", pool, "providers", id] =
        *parts
    else {
        return Err(Failure::new(format!("`{provider}` is not the name of a provider")));
    };
    let operator = if subjects.len() == 1 { "==" } else { "in" };
    let condition = format!("assertion.sub {operator} {}", one_or_all(subjects));
    let mut steps = vec![
        Step::Run {
            why: "The pool",
            command: format!(
                "gcloud iam workload-identity-pools create {} --project={} --location=global",
                quoted(pool),
                quoted(number)
            ),
        },
        Step::Run {
            why: "The provider; --jwk-json-path too, where Google cannot reach the issuer",
            command: [
                format!(
                    "gcloud iam workload-identity-pools providers create-oidc {} --project={}",
                    quoted(id),
                    quoted(number)
                ),
                format!("--location=global --workload-identity-pool={}", quoted(pool)),
                format!("--issuer-uri={}", quoted(&view.issuer)),
                format!("--allowed-audiences={}", quoted(&view.audience)),
                "--attribute-mapping=google.subject=assertion.sub".to_owned(),
                format!("--attribute-condition={}", quoted(&condition)),
            ]
            .join(" \\\n    "),
        },
    ];
    let account = view.config.get("service_account");
    steps.extend(account.iter().flat_map(|account| {
        subjects.iter().map(|subject| {
            let member = format!(
                "principal://iam.googleapis.com/projects/{number}/locations/global/\
                 workloadIdentityPools/{pool}/subject/{subject}"
            );
            Step::Run {
                why: "The service account that it may act as",
                command: format!(
                    "gcloud iam service-accounts add-iam-policy-binding {} \\\n    \
                     --role=roles/iam.workloadIdentityUser \\\n    --member={}",
                    quoted(account),
                    quoted(&member)
                ),
            }
        })
    }));
    Ok(steps)
}

/// <https://learn.microsoft.com/graph/api/resources/federatedidentitycredential>
fn azure(view: &TargetView, subjects: &[String]) -> Result<Vec<Step>, Failure> {
    let client = told(view, "client_id")?;
    let several = subjects.len() > 1;
    let step = |(at, subject): (usize, &String)| {
        let end = if several { format!("-{}", at.saturating_add(1)) } else { String::new() };
        let name = format!("symbolon-{}{end}", view.target);
        let file = format!("{name}.json");
        let credential = json!({
            "name": name,
            "issuer": view.issuer,
            "subject": subject,
            "audiences": [view.audience],
        });
        let command = format!(
            "az ad app federated-credential create --id {} --parameters {}",
            quoted(client),
            quoted(&file)
        );
        [
            Step::Write {
                why: "The federated credential: all three are compared exactly",
                file,
                text: format!("{credential:#}"),
            },
            Step::Run { why: "On the application; some minutes pass until it holds", command },
        ]
    };
    Ok(subjects.iter().enumerate().flat_map(step).collect())
}

/// For whatever else believes JWTs.
fn facts(view: &TargetView, subjects: &[String]) -> Vec<Step> {
    let facts = json!({
        "issuer": view.issuer,
        "jwks_uri": format!("{}/.well-known/jwks.json", view.issuer.trim_end_matches('/')),
        "audience": view.audience,
        "subject": one_or_all(subjects),
        "algorithm": "RS256",
    });
    vec![Step::Write {
        why: "What to believe, and nothing else",
        file: format!("{}.json", view.target),
        text: format!("{facts:#}"),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::view;
    use super::*;

    const ROLE: (&str, &str) = ("role_arn", "arn:aws:iam::123456789012:role/ci/deploy");

    fn commands(steps: &[Step]) -> String {
        steps.iter().map(Step::text).collect::<Vec<_>>().join("\n")
    }

    fn document(steps: &[Step]) -> Value {
        let written = steps.iter().find_map(|step| match step {
            Step::Write { text, .. } => Some(serde_json::from_str(text).unwrap()),
            Step::Run { .. } => None,
        });
        written.expect("a file")
    }

    #[test]
    fn aws_is_told_of_the_subject_and_the_audience_and_of_no_action_that_is_not_used() {
        let steps = steps(&view("aws", &[ROLE]), &[]).unwrap();
        let expected = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Federated":
                    "arn:aws:iam::123456789012:oidc-provider/gw.example.com/assertions" },
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": { "StringEquals": {
                    "gw.example.com/assertions:aud": "sts.amazonaws.com",
                    "gw.example.com/assertions:sub": "gateway:deploy",
                } },
            }],
        });
        assert_eq!(document(&steps), expected);
        let text = commands(&steps);
        assert!(text.contains(
            "aws iam create-open-id-connect-provider \\\n    \
             --url https://gw.example.com/assertions --client-id-list sts.amazonaws.com\n"
        ));
        assert!(text.contains("aws iam create-role --role-name deploy "), "{text}");
    }

    #[test]
    fn aws_takes_tags_a_source_identity_and_several_callers() {
        let mut target = view("aws", &[ROLE]);
        target.aws_claims = true;
        target.attributes = vec!["team".to_owned()];
        target.subject = Subject::Caller { longest: 64, hashed: true };
        let callers = ["ci/a".to_owned(), format!("ci/{}", "b".repeat(80))];
        let policy = document(&steps(&target, &callers).unwrap());
        let statement = &policy["Statement"][0];
        assert_eq!(
            statement["Action"],
            json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"])
        );
        let subjects = &statement["Condition"]["StringEquals"]["gw.example.com/assertions:sub"];
        assert_eq!(subjects[0], "ci/a");
        assert!(subjects[1].as_str().unwrap().starts_with("sha256:"), "{subjects}");
        target.subject = Subject::Caller { longest: 64, hashed: false };
        assert!(steps(&target, &callers).is_err(), "too long, and not hashed");
        assert!(steps(&target, &[]).is_err(), "nobody is named");
        assert!(steps(&view("aws", &[ROLE]), &callers).is_err(), "callers are not named");
    }

    #[test]
    fn what_aws_would_not_take_is_not_printed() {
        for issuer in ["https://gw.example.com:8443", "http://gw.example.com"] {
            let target = TargetView { issuer: issuer.to_owned(), ..view("aws", &[ROLE]) };
            assert!(steps(&target, &[]).is_err(), "{issuer}");
        }
        let target = TargetView { is_chained: true, ..view("aws", &[ROLE]) };
        assert!(steps(&target, &[]).is_err());
        assert!(steps(&view("aws", &[("role_arn", "arn:aws:iam::1:user/a")]), &[]).is_err());
        assert!(steps(&view("aws", &[]), &[]).is_err());
    }

    #[test]
    fn google_maps_the_subject_and_lets_it_act_as_the_account() {
        let config = [
            (
                "provider",
                "projects/837/locations/global/workloadIdentityPools/gw-pool/providers/gw",
            ),
            ("service_account", "billing@acme.iam.gserviceaccount.com"),
        ];
        let mut target = view("gcp", &config);
        target.audience = "https://iam.googleapis.com/x".to_owned();
        let text = commands(&steps(&target, &[]).unwrap());
        for part in [
            "create-oidc gw --project=837",
            "--issuer-uri=https://gw.example.com/assertions",
            "--allowed-audiences=https://iam.googleapis.com/x",
            "--attribute-mapping=google.subject=assertion.sub",
            "--attribute-condition='assertion.sub == \"gateway:deploy\"'",
            "workloadIdentityPools/gw-pool/subject/gateway:deploy",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        target.subject = Subject::Caller { longest: 127, hashed: false };
        let callers = ["ci/a".to_owned(), "ci/it's".to_owned()];
        let text = commands(&steps(&target, &callers).unwrap());
        let condition = r#"--attribute-condition='assertion.sub in ["ci/a","ci/it'\''s"]'"#;
        assert!(text.contains(condition), "{text}");
    }

    #[test]
    fn azure_has_a_credential_for_each_subject() {
        let mut target = view("azure", &[("client_id", "aaaa"), ("tenant", "t")]);
        target.audience = "api://AzureADTokenExchange".to_owned();
        let expected = json!({
            "name": "symbolon-deploy",
            "issuer": "https://gw.example.com/assertions",
            "subject": "gateway:deploy",
            "audiences": ["api://AzureADTokenExchange"],
        });
        assert_eq!(document(&steps(&target, &[]).unwrap()), expected);
        target.subject = Subject::Caller { longest: 127, hashed: false };
        let two = steps(&target, &["ci/a".to_owned(), "ci/b".to_owned()]).unwrap();
        assert!(commands(&two).contains("--parameters symbolon-deploy-2.json"));
    }
}
