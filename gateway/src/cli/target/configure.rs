//! What to paste where a cloud's own library runs.

use serde_json::json;

use super::{Cloud, Step, quoted, told};
use crate::app::targets::TargetView;
use crate::cli::failure::Failure;

/// Where the file of an Azure target is suggested to be.
const AZURE_FILE: &str = "/run/symbolon/azure-token";

/// The libraries that can be used unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Library {
    /// Every SDK of AWS, and its command line
    AwsSdk,
    /// google-auth, and what is built on it
    GoogleAuth,
    /// azure-identity
    AzureIdentity,
}

impl Library {
    const fn cloud(self) -> Cloud {
        match self {
            Self::AwsSdk => Cloud::Aws,
            Self::GoogleAuth => Cloud::Google,
            Self::AzureIdentity => Cloud::Azure,
        }
    }
}

/// What to do for `library`.
pub(super) fn steps(view: &TargetView, library: Library) -> Result<Vec<Step>, Failure> {
    if Cloud::of(view) != Some(library.cloud()) {
        let (name, plugin) = (&view.target, &view.plugin);
        return Err(Failure::new(format!("`{name}` is a target of the plugin `{plugin}`"))
            .with_help("its tokens are none that this library uses"));
    }
    match library {
        Library::AwsSdk => Ok(aws(view)),
        Library::GoogleAuth => google(view),
        Library::AzureIdentity => azure(view),
    }
}

/// The libraries of Google and Azure make the exchange themselves: they need what the cloud is shown.
fn delivers(view: &TargetView) -> Result<(), Failure> {
    match view.delivers_assertion {
        true => Ok(()),
        false => {
            Err(Failure::new(format!("`{}` keeps its assertions", view.target)).with_help(format!(
                "this library exchanges an assertion itself: set `assertion = \"deliver\"` in \
                 [targets.{}], knowing what that gives away (gateway/docs/sdks.md)",
                view.target
            )))
        }
    }
}

fn command(view: &TargetView, verb: &str) -> String {
    format!("symbolon credential {verb} {} --url {}", view.target, quoted(&view.gateway))
}

/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>
fn aws(view: &TargetView) -> Vec<Step> {
    let region = view.config.get("region").map(|region| format!("region = {region}\n"));
    vec![
        Step::Write {
            why: "A profile",
            file: "~/.aws/config".to_owned(),
            text: format!(
                "[profile {}]\n{}credential_process = {}",
                view.target,
                region.unwrap_or_default(),
                command(view, "aws")
            ),
        },
        Step::Run {
            why: "Or, where many processes need it: this prints two lines for their environment",
            command: command(view, "serve"),
        },
    ]
}

/// <https://google.aip.dev/auth/4117>
fn google(view: &TargetView) -> Result<Vec<Step>, Failure> {
    delivers(view)?;
    let provider = told(view, "provider")?;
    let mut account = json!({
        "type": "external_account",
        "universe_domain": "googleapis.com",
        "audience": format!("//iam.googleapis.com/{provider}"),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": { "executable": {
            "command": command(view, "google"),
            "timeout_millis": 30_000,
        } },
    });
    if let (Some(email), Some(members)) =
        (view.config.get("service_account"), account.as_object_mut())
    {
        let url = format!(
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/\
             {email}:generateAccessToken"
        );
        members.insert("service_account_impersonation_url".to_owned(), json!(url));
    }
    let file = format!("{}.json", view.target);
    Ok(vec![
        Step::Write { why: "The credential", file: file.clone(), text: format!("{account:#}") },
        Step::Run {
            why: "The environment",
            command: format!(
                "export GOOGLE_APPLICATION_CREDENTIALS={}\n\
                 export GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1",
                quoted(&file)
            ),
        },
    ])
}

/// <https://learn.microsoft.com/entra/workload-id/workload-identity-federation>
fn azure(view: &TargetView) -> Result<Vec<Step>, Failure> {
    delivers(view)?;
    let authority = match view.config.get("cloud").map(String::as_str) {
        Some("us-government") => "https://login.microsoftonline.us/",
        Some("china") => "https://login.partner.microsoftonline.cn/",
        Some(_) | None => "https://login.microsoftonline.com/",
    };
    let (client, tenant) = (told(view, "client_id")?, told(view, "tenant")?);
    Ok(vec![
        Step::Run {
            why: "Beside the workload: keeps the file",
            command: format!(
                "symbolon credential serve --assertion-file {}={AZURE_FILE} --url {}",
                view.target,
                quoted(&view.gateway)
            ),
        },
        Step::Run {
            why: "The workload's environment",
            command: format!(
                "export AZURE_CLIENT_ID={}\nexport AZURE_TENANT_ID={}\n\
                 export AZURE_AUTHORITY_HOST={authority}\n\
                 export AZURE_FEDERATED_TOKEN_FILE={AZURE_FILE}",
                quoted(client),
                quoted(tenant)
            ),
        },
    ])
}

#[cfg(test)]
mod tests {
    use super::super::view;
    use super::*;

    fn text(view: &TargetView, library: Library) -> String {
        let steps = steps(view, library).map_err(|failure| failure.to_string()).unwrap();
        steps.iter().map(Step::text).collect()
    }

    #[test]
    fn a_profile_of_aws_runs_the_command() {
        let text = text(&view("aws", &[("region", "eu-central-1")]), Library::AwsSdk);
        assert!(text.contains(
            "[profile deploy]\nregion = eu-central-1\n\
             credential_process = symbolon credential aws deploy --url https://gw.example.com\n"
        ));
    }

    #[test]
    fn google_and_azure_need_a_target_that_delivers() {
        let google = [
            ("provider", "projects/1/locations/global/workloadIdentityPools/p/providers/q"),
            ("service_account", "a@b.iam.gserviceaccount.com"),
        ];
        let azure = [("client_id", "c"), ("tenant", "t"), ("cloud", "china")];
        for (mut target, library, part) in [
            (
                view("gcp", &google),
                Library::GoogleAuth,
                "serviceAccounts/a@b.iam.gserviceaccount.com:generateAccessToken",
            ),
            (
                view("azure", &azure),
                Library::AzureIdentity,
                "AZURE_AUTHORITY_HOST=https://login.partner.microsoftonline.cn/",
            ),
        ] {
            let refused = steps(&target, library).unwrap_err().to_string();
            assert!(refused.contains("assertion = \"deliver\""), "{refused}");
            target.delivers_assertion = true;
            let text = text(&target, library);
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_library_is_of_its_cloud() {
        assert!(steps(&view("vault", &[]), Library::AwsSdk).is_err());
        assert!(steps(&view("gcp", &[]), Library::AwsSdk).is_err());
    }
}
