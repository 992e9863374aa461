// WebSocket (RFC 6455): the token goes in the first message, never in the address. Subscriptions come and
// go on the open connection, and so does a new token.
import { errorOf, failureOfClose } from '../errors.js';
import type { Message, TransportFactory, Wants } from '../types.js';

export const websocket: TransportFactory = (open, on) => {
  const address = `${open.url.replace(/^http/, 'ws')}/v1/events`;
  let said: Message | null = null;
  let connected = false;
  let topics = new Set(open.topics);
  /** Topics that were asked for on the open connection; the server answers in turn. */
  const asked: (readonly string[])[] = [];
  const socket = new WebSocket(address);
  open.count(1, 0);
  const close = () => {
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  };
  const say = (message: object): boolean => {
    socket.send(JSON.stringify(message));
    return true;
  };
  socket.onopen = () =>
    say({
      action: 'connect',
      ...(open.token ? { token: open.token } : {}),
      ...(open.since ? { since: open.since } : {}),
      topics: open.topics,
      feed: open.feed,
    });
  socket.onmessage = ({ data }) => {
    open.count(0, data.length);
    let message: Message;
    try {
      message = JSON.parse(data);
    } catch {
      close();
      return on.down(errorOf('malformed'));
    }
    connected ||= message.control === 'connected';
    if (message.control === 'error' && !message.id) said = message;
    if (message.id === 'wants') message.topics = asked.shift();
    on.message(message);
  };
  socket.onerror = () => {}; // onclose follows and says all there is
  socket.onclose = ({ code }) => on.down(failureOfClose(code, said));
  return {
    update: (wants: Wants) => {
      if (!connected) return false;
      const next = new Set(wants.topics);
      const gone = [...topics].filter((topic) => !next.has(topic));
      const came = wants.topics.filter((topic) => !topics.has(topic));
      topics = next;
      if (gone.length) say({ action: 'unsubscribe', topics: gone });
      if (!came.length) return true;
      asked.push(came);
      return say({ action: 'subscribe', id: 'wants', topics: came });
    },
    renew: (token) => connected && say({ action: 'renew', id: 'renew', token }),
    ping: () => connected && say({ action: 'ping', id: 'ping' }),
    close,
  };
};
