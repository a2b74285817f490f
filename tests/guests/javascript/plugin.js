// A store of secrets, as a vendor would write one in JavaScript: some stand in its configuration, the
// others are asked of a server, by `fetch`.
//
// `result` of the contract is what is returned, or what is thrown unless it is an `Error`: an `Error` is a
// defect, and ends the call as a trap.

import { get } from "symbolon:plugin/config@0.1.0";
import { log } from "symbolon:plugin/log@0.1.0";
import manifest from "./manifest.js";

/** Below this, secrets are the server's. */
const REMOTE = "remote/";
/** Asked for this one, the plugin has a defect. */
const DEFECT = "defect";
/** Another one each time, from both generators of the language. */
const CHANCE = "chance";

/** An error of the contract. */
function fault(kind, code, message, more = {}) {
  const { sent = false, status } = more;
  return {
    kind,
    code,
    message,
    retryAfterMs: undefined,
    requestSent: sent,
    upstreamStatus: status,
    metadata: [],
  };
}

const absent = (more) => fault("not-found", "absent", "there is no such secret", more);

/** The configuration, of which every key is known. */
function configuration() {
  const config = JSON.parse(get());
  const { address, secrets = {}, ...unknown } = config;
  const [key] = Object.keys(unknown);
  if (key !== undefined) {
    throw fault("invalid-config", "unknown_key", `\`${key}\` is no key of this configuration`);
  }
  return { address, secrets: new Map(Object.entries(secrets)) };
}

function text(path, value) {
  return {
    path,
    version: undefined,
    contentType: "text/plain; charset=utf-8",
    value: { tag: "opaque", val: new TextEncoder().encode(value) },
    expiresAt: undefined,
    metadata: [["language", "javascript"]],
  };
}

/** No two calls may have the same, though each begins from one image. */
function chance() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `${Math.random()} ${Array.from(bytes, (byte) => byte.toString(16)).join("-")}`;
}

/** One of the server's. */
async function fetched(address, path, context) {
  if (address === undefined) throw absent();
  const headers = { "x-request-id": context.requestId };
  const answer = await fetch(`${address}/v1/${path.slice(REMOTE.length)}`, { headers });
  const { status } = answer;
  if (status === 404) throw absent({ sent: true, status });
  if (status !== 200) {
    throw fault("unavailable", "refused", "the server does not answer", { sent: true, status });
  }
  return text(path, await answer.text());
}

async function one(context, { path, version }) {
  if (path === DEFECT) throw new TypeError("this is a defect of the plugin");
  if (path === CHANCE) return text(path, chance());
  if (version !== undefined) throw absent();
  const { address, secrets } = configuration();
  if (path.startsWith(REMOTE)) return fetched(address, path, context);
  if (!secrets.has(path)) throw absent();
  return text(path, secrets.get(path));
}

/** A member of `read-many`, which has an outcome of its own. */
async function outcome(context, selector) {
  try {
    return { tag: "ok", val: await one(context, selector) };
  } catch (error) {
    if (error instanceof Error) throw error;
    return { tag: "err", val: error };
  }
}

/** Names directly in a folder. */
function names(paths, folder) {
  const prefix = folder === undefined ? "" : `${folder.replace(/\/+$/, "")}/`;
  const rests = paths.filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length));
  const inside = rests.map((rest) => (rest.includes("/") ? rest.slice(0, rest.indexOf("/") + 1) : rest));
  return [...new Set(inside)].sort();
}

export const describe = {
  describe: () => ({
    name: manifest.name,
    version: manifest.version,
    summary: manifest.summary,
    configSchema: JSON.stringify(manifest.config_schema),
    egress: manifest.egress.map(({ scheme, host, port, methods, path_prefix }) => ({
      scheme,
      host,
      port: port ?? undefined,
      methods,
      pathPrefix: path_prefix,
    })),
    recovery: undefined,
    metadata: Object.entries(manifest.metadata),
  }),
};

export const check = {
  validate() {
    const { secrets } = configuration();
    return { remarks: [`${secrets.size} secrets in the configuration`], metadata: [] };
  },
  probe: () => ({ remarks: [], metadata: [] }),
};

export const secrets = {
  async read(context, selector) {
    log("debug", "a secret is read", [["request", context.requestId]]);
    return one(context, selector);
  },
  // `fetch` may wait for several at once.
  readMany: (context, selectors) => Promise.all(selectors.map((each) => outcome(context, each))),
  list: (_context, folder, _next) => ({
    names: names([...configuration().secrets.keys()], folder),
    next: undefined,
  }),
};
