// A certified OpenID provider for the tests: `node provider.mjs SETTINGS`.
//
// SETTINGS is a JSON file: `installed`: the folder that oidc-provider is in; `port`; `tls`: paths of `cert` and `key`, or nothing; `clients`: as in dynamic registration, and
// `machine`: the claims of a client's own tokens; `accounts`: the claims of each user; `seconds`: lifetimes by the kind of a
// token; `algorithm` of the access tokens. The issuer is http(s)://127.0.0.1:PORT.
//
// POST /control/end-sessions?account=… and /control/revoke-grants?account=… do what a user or an administrator would do;
// /control/disable?account=… is of an account that is no more.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { pathToFileURL } from 'node:url';

import * as pages from './pages.mjs';
import { endAll, Storage } from './storage.mjs';

const { installed, port, tls, clients, accounts, seconds, algorithm } = JSON.parse(readFileSync(process.argv[2]));
const { default: Provider } = await import(pathToFileURL(`${installed}/node_modules/oidc-provider/lib/index.js`));
const issuer = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
const disabled = new Set();
const isKnown = (account) => Object.hasOwn(accounts, account) && !disabled.has(account);

function newKey(kind, options) {
  return { ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), use: 'sig' };
}

const provider = new Provider(issuer, {
  adapter: Storage,
  clients,
  jwks: { keys: [newKey('rsa', { modulusLength: 2048 }), newKey('ec', { namedCurve: 'P-256' }), newKey('ed25519')] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  extraClientMetadata: { properties: ['machine'] },
  ttl: { AccessToken: 3600, ClientCredentials: 3600, Grant: 86400, IdToken: 3600, Interaction: 600, RefreshToken: 86400, Session: 86400, ...seconds },
  scopes: ['openid', 'offline_access', 'email', 'groups'],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
  // As most providers have it: what was asked for is in the ID token too.
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  rotateRefreshToken: true,
  // Without offline_access it ends with the session, as Keycloak's does.
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  renderError: (context, out) => { context.type = 'html'; context.body = pages.failure(out); },
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  findAccount: (_, accountId) => isKnown(accountId) ? { accountId, claims: () => ({ sub: accountId, ...accounts[accountId] }) } : undefined,
  extraTokenClaims: ({ oidc }, { kind, accountId }) => kind === 'ClientCredentials' ? oidc.client.machine : accounts[accountId],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    // A token for a resource is a JWT with the resource as its audience.
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, audience) => ({ scope: '', audience, accessTokenFormat: 'jwt', jwt: { sign: { alg: algorithm } } }),
    },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (context, form) => { context.body = pages.logout(form); },
      postLogoutSuccessSource: (context) => { context.body = pages.loggedOut; },
    },
  },
});

/** A person at the form: any known user is who he says, and allows what the client asks for. */
async function interact(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    return response.setHeader('Content-Type', 'text/html; charset=utf-8').end(pages[prompt.name]);
  }
  if (prompt.name === 'login') {
    let body = '';
    for await (const piece of request) body += piece;
    const accountId = new URLSearchParams(body).get('user');
    const result = isKnown(accountId) ? { login: { accountId } } : { error: 'access_denied', error_description: 'no such user' };
    return provider.interactionFinished(request, response, result);
  }
  const known = grantId && await provider.Grant.find(grantId);
  const grant = known || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

const controls = {
  '/control/end-sessions': (account) => endAll('Session', account),
  '/control/revoke-grants': (account) => endAll('Grant', account),
  '/control/disable': (account) => disabled.add(account).size,
};
const answer = provider.callback();

async function serve(request, response) {
  const { pathname, searchParams } = new URL(request.url, issuer);
  if (controls[pathname]) return response.end(String(controls[pathname](searchParams.get('account'))));
  return pathname.startsWith('/interaction/') ? interact(request, response) : answer(request, response);
}

function fail(response, error) {
  console.error(error);
  response.writeHead(500).end(String(error));
}

const listener = (request, response) => serve(request, response).catch((error) => fail(response, error));
provider.on('server_error', (_, error) => console.error(error));
const server = tls ? https.createServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key) }, listener) : http.createServer(listener);
server.listen(port, '127.0.0.1');
