// Certificates of a test, by OpenSSL's own tool.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** A self-signed one for 127.0.0.1: NAME.pem and NAME.key in the folder. */
export function certificate(folder, name) {
  const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.pem`)];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const names = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...files, ...names], { stdio: 'ignore' });
}
