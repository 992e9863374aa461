// The same site over each transport, switched while it runs: what it costs in requests and bytes, and how
// late events come. Cursors are the same on all of them, so nothing is lost in between.
import { useBelfry, useConnectionState, useEvent } from '@belfry/react';
import { useEffect, useRef, useState } from 'react';
import { api } from './api.js';

const choices = [
  ['websocket', 'WebSocket'],
  ['sse', 'Server-sent events'],
  ['http-stream', 'HTTP streaming'],
  ['long-poll', 'Long poll'],
  ['poll', 'Short poll'],
];
const size = (bytes) => (bytes < 10_000 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KiB`);

export function TransportPanel() {
  const client = useBelfry();
  const transport = useConnectionState((state) =>
    state.status === 'live' ? state.transport : state.status,
  );
  const [choice, setChoice] = useState('websocket');
  const [seconds, setSeconds] = useState(5);
  const [rows, setRows] = useState({});
  const begun = useRef({ requests: 0, bytes: 0, at: Date.now() });

  // cut: switch
  const choose = (name, interval) => {
    begun.current = { ...client.stats, at: Date.now() };
    client.setTransports([name], { pollIntervalMs: interval * 1000 });
  };
  // end

  useEvent(`users/${encodeURIComponent(client.user ?? '')}/echo`, 'echo', (event) => {
    const delay = Date.now() - event.data.at;
    setRows((old) => ({
      ...old,
      [choice]: { ...old[choice], delays: [...(old[choice]?.delays ?? []), delay].slice(-20) },
    }));
  });
  const look = () => {
    const { requests, bytes } = client.stats;
    const since = begun.current;
    const row = {
      requests: requests - since.requests,
      bytes: bytes - since.bytes,
      seconds: (Date.now() - since.at) / 1000,
    };
    setRows((old) => ({ ...old, [choice]: { ...old[choice], ...row } }));
  };
  useEffect(() => {
    const timer = setInterval(look, 500);
    return () => clearInterval(timer);
  }, [client, choice]);

  const pick = (name) => {
    look();
    setChoice(name);
    choose(name, seconds);
  };
  const wait = (value) => {
    setSeconds(value);
    if (choice === 'poll') choose('poll', value);
  };
  const median = (all = []) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)];
  return (
    <aside>
      <h2>How this page hears of changes</h2>
      <p className="row">
        <label>
          Transport{' '}
          <select value={choice} onChange={(event) => pick(event.target.value)}>
            {choices.map(([name, text]) => (
              <option key={name} value={name}>
                {text}
              </option>
            ))}
          </select>
        </label>
        {choice === 'poll' && (
          <label>
            every{' '}
            <input
              type="number"
              min="1"
              max="600"
              value={seconds}
              onChange={(event) => wait(Number(event.target.value) || 5)}
            />{' '}
            s
          </label>
        )}
        <button onClick={() => api.echo()}>Send an event</button>
      </p>
      <table>
        <thead>
          <tr>
            <th>transport</th>
            <th>requests</th>
            <th>received</th>
            <th>median delay</th>
          </tr>
        </thead>
        <tbody>
          {choices
            .filter(([name]) => rows[name])
            .map(([name, text]) => (
              <tr key={name} className={name === transport ? 'used' : ''}>
                <td>{text}</td>
                <td>
                  {rows[name].requests ?? 0} in {Math.round(rows[name].seconds ?? 0)} s
                </td>
                <td>{size(rows[name].bytes ?? 0)}</td>
                <td>{rows[name].delays?.length ? `${median(rows[name].delays)} ms` : '–'}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </aside>
  );
}
