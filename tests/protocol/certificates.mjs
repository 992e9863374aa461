// Certificates of a test, by OpenSSL's own tool.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];

/** A self-signed one for 127.0.0.1: NAME.pem and NAME.key in the folder. */
export function certificate(folder, name) {
  const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.pem`)];
  const names = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', ...key, ...files, ...names], { stdio: 'ignore' });
}

/**
 * One for 127.0.0.1 as an authority issues it: NAME.pem holds it and the one between it and root.pem, which
 * clients trust; NAME.key is its key.
 */
export function issued(folder, name) {
  const at = (file) => join(folder, file);
  const make = (subject, authority, extension) => {
    const by = authority ? ['-CA', at(`${authority}.crt`), '-CAkey', at(`${authority}.key`)] : [];
    const files = ['-keyout', at(`${subject}.key`), '-out', at(`${subject}.crt`)];
    const names = ['-subj', `/CN=${subject}`, '-addext', extension];
    execFileSync('openssl', ['req', '-x509', ...key, ...by, ...files, ...names], { stdio: 'ignore' });
  };
  make('root', null, 'keyUsage=keyCertSign');
  make('between', 'root', 'keyUsage=keyCertSign');
  make(name, 'between', 'subjectAltName=IP:127.0.0.1');
  const text = (file) => readFileSync(at(`${file}.crt`), 'utf8');
  writeFileSync(at(`${name}.pem`), text(name) + text('between'));
  writeFileSync(at('root.pem'), text('root'));
}
