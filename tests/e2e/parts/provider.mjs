// A token issuer for tests: oidc-provider over TLS, client credentials, RS256 `at+jwt`.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { pathToFileURL } from 'node:url';

const { MODULES, PORT, CERTIFICATE, KEY } = process.env;
const library = pathToFileURL(`${MODULES}/oidc-provider/lib/index.js`);
const { Provider } = await import(library.href);

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' };

const client = (name) => ({
  client_id: name,
  client_secret: name,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
});

const provider = new Provider(`https://localhost:${PORT}`, {
  clients: [client('workload'), client('stranger')],
  jwks: { keys: [key] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, audience) => ({
        audience,
        scope: 'read',
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});

const tls = { cert: readFileSync(CERTIFICATE), key: readFileSync(KEY) };
createServer(tls, provider.callback()).listen(Number(PORT), '127.0.0.1');
