// What the provider remembers, in memory: unlike its own store, this one finds what belongs to an account.

const stored = new Map();

export class Storage {
  constructor(kind) {
    this.kind = kind;
  }

  key(id) {
    return `${this.kind}:${id}`;
  }

  async upsert(id, payload) {
    stored.set(this.key(id), payload);
  }

  async find(id) {
    return stored.get(this.key(id));
  }

  async findByUid(uid) {
    return [...stored.values()].find((payload) => payload.kind === 'Session' && payload.uid === uid);
  }

  async consume(id) {
    stored.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    stored.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    forget((payload) => payload.grantId === grantId);
  }
}

function forget(matches) {
  for (const [key, payload] of stored) if (matches(payload)) stored.delete(key);
}

/** Ends what an account has of a kind: `Session`, or `Grant` with all its tokens. */
export function endAll(kind, account) {
  const ended = [...stored.values()].filter((payload) => payload.kind === kind && payload.accountId === account);
  forget((payload) => ended.includes(payload) || ended.some(({ jti }) => kind === 'Grant' && payload.grantId === jti));
  return ended.length;
}
