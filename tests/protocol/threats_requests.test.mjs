// Attacks by the form of requests, and servers that would be open to all.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { binary, Server } from './server.mjs';
import { exchange } from './threats.mjs';

describe('threats: smuggling', () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  it('threat 11: 400 ways to hide a request in another', async () => {
    const inner = 'GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n';
    const lengths = [
      '+5',
      '5, 5',
      '5,6',
      '0x5',
      '-1',
      '5 5',
      '٥',
      '99999999999999999999',
      '5\r\nContent-Length: 6',
      '5_',
    ];
    const encodings = [
      'xchunked',
      'chunked, identity',
      'identity, chunked',
      '"chunked"',
      'chunked;q=1',
      'gzip, chunked',
      'chunked, chunked',
      'chun ked',
      '\x0bchunked',
      'chunked\x00',
    ];
    const chunks = [
      '5 \r\nhello',
      '0x5\r\nhello',
      '+5\r\nhello',
      '-5\r\nhello',
      '5;\nhello',
      'ffffffffffffffff1\r\n',
      '5\rhello',
      '\r\n5\r\n',
      'g\r\n',
      '5\nhello',
    ];
    const heads = [
      'Host: h\r\nX : y',
      'Host: h\r\n folded',
      'Host: h\nX: y',
      'Host: h\r\nX\0: y',
      'Host: h\r\n: y',
      'Host: h\r\nX: y\rz',
    ];
    const vectors = [];
    for (const method of ['POST', 'PUT', 'DELETE', 'GET', 'PATCH']) {
      for (const one of lengths)
        vectors.push(`${method} / HTTP/1.1\r\nHost: h\r\nContent-Length: ${one}\r\n\r\n${inner}`);
      for (const one of encodings) {
        vectors.push(
          `${method} / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: ${one}\r\n\r\n0\r\n\r\n${inner}`,
        );
        vectors.push(
          `${method} / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: ${one}\r\n\r\n` +
            `0\r\n\r\n${inner}`,
        );
      }
      for (const one of chunks)
        vectors.push(
          `${method} / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${one}\r\n0\r\n\r\n${inner}`,
        );
      for (const one of heads) {
        vectors.push(`${method} / HTTP/1.1\r\n${one}\r\nContent-Length: 0\r\n\r\n${inner}`);
        vectors.push(
          `${method} / HTTP/1.1\r\n${one}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
        );
      }
      for (const one of ['Content-Length', 'Content-length ', 'content_length', 'Content-Length\t'])
        for (const name of [
          'Transfer-Encoding',
          'Transfer-Encoding ',
          'transfer-encoding',
          'Transfer-Encoding\t',
          'Transfer\x0cEncoding',
        ])
          for (const value of ['chunked', 'CHUNKED '])
            vectors.push(
              `${method} / HTTP/1.1\r\nHost: h\r\n${one}: 4\r\n${name}: ${value}\r\n\r\n0\r\n\r\n${inner}`,
            );
    }
    assert.ok(vectors.length >= 400, `${vectors.length} vectors`);
    const judge = async (vector) => {
      const answer = await exchange(server.port, Buffer.from(vector, 'latin1'), { quiet: 150 });
      const statuses = [...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((found) => found[1]);
      // Either refused, and nothing after it is heard; or both agree where the first one ends.
      const refused = statuses.length <= 1 && !['200', '201'].includes(statuses[0]);
      const plain =
        /Content-Length: 0\r\n|content_length: 4\r\nTransfer-Encoding: chunked ?\r\n\r\n/i.test(vector) &&
        !/[\n]X|X :|\0|\n: | folded|\rz/.test(vector);
      assert.ok(refused || (plain && statuses.length <= 2), `${JSON.stringify(vector)}\n${answer}`);
      return statuses[0];
    };
    const results = {};
    for (let at = 0; at < vectors.length; at += 20)
      for (const status of await Promise.all(vectors.slice(at, at + 20).map(judge)))
        results[status] = (results[status] ?? 0) + 1;
    console.log(`smuggling: ${vectors.length} vectors, first answers ${JSON.stringify(results)}`);
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  });
});

describe('threats: unsafe defaults', () => {
  it('the binary is hardened, and starts no other program', async () => {
    const look = (...words) => spawnSync('readelf', [...words, binary], { encoding: 'utf8' }).stdout;
    assert.match(look('-h'), /Type:\s+DYN/, 'position-independent');
    assert.match(look('-d'), /BIND_NOW|Flags:.*NOW/);
    assert.match(look('-lW'), /GNU_RELRO/);
    assert.match(look('-lW'), /GNU_STACK\s+\S+ \S+ \S+ \S+ \S+ RW\s/, 'the stack is not executable');
    assert.match(look('-sW', '--dyn-syms'), /__stack_chk_fail/);
    assert.match(look('-sW', '--dyn-syms'), /__\w+_chk/, 'fortified');
    const folder = mkdtempSync(join(tmpdir(), 'belfry-'));
    const calls = join(folder, 'calls');
    const trace =
      'trace=execve,execveat,fork,vfork,ptrace,mount,setuid,setgid,init_module,bpf,unshare,chroot';
    const traced = await Server.start({ before: ['strace', '-f', '-qq', '-o', calls, '-e', trace] });
    await traced.publish({ topic: 'a' });
    await traced.kill('SIGTERM');
    await traced.exited;
    const seen = readFileSync(calls, 'utf8')
      .split('\n')
      .filter((line) => /^\d+ +\w+\(/.test(line));
    assert.equal(seen.length, 1, seen.join('\n'));
    await traced.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('threat 41: a server that faces others refuses to start without a real secret', () => {
    const folder = mkdtempSync(join(tmpdir(), 'belfry-'));
    const file = (name, text) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const good = file('good', 's'.repeat(32));
    const secrets = {
      good,
      short: file('short', 's'.repeat(31)),
      empty: file('empty', ''),
      missing: join(folder, 'missing'),
      none: undefined,
      spaces: file('spaces', ' '.repeat(64)),
    };
    const hosts = ['0.0.0.0:0', '[::]:0', '127.0.0.1:0', '[::1]:0'];
    let played = 0;
    try {
      for (const [name, secret] of Object.entries(secrets)) {
        for (const host of hosts) {
          if (name === 'good') continue; // it would run; the other tests start such servers
          const config = file(
            'belfry.toml',
            `[http]\nlisten = "${host}"\n[auth]\n${secret ? `jwt_secret_file = "${secret}"\n` : ''}`,
          );
          const done = spawnSync(binary, ['serve', '-c', config, '--data', join(folder, 'data')], {
            encoding: 'utf8',
            timeout: 5000,
          });
          assert.equal(done.status, 3, `${name} ${host}: ${done.stderr}`);
          assert.match(done.stderr, /secret|empty|Cannot read/);
          ++played;
        }
      }
      for (const host of ['0.0.0.0:0', '[::]:0', '10.1.2.3:0', '192.168.1.1:0']) {
        const done = spawnSync(binary, ['dev', '--listen', host, '--data', join(folder, 'data')], {
          encoding: 'utf8',
          timeout: 5000,
        });
        assert.equal(done.status, 3, host);
        ++played;
      }
      assert.equal(played, 24);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
