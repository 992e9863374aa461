// The booking site: routes by hash, a bell, and a panel that shows what each transport costs.
import { BelfryProvider, Bell, useConnectionState } from '@belfry/react';
import { createClient, UnauthorizedError } from '@belfry/client';
import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import { StrictMode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { api } from './api.js';
import { Bank } from './Bank.jsx';
import { Bookings } from './Bookings.jsx';
import { Payment } from './Payment.jsx';
import { Rooms } from './Rooms.jsx';
import { TransportPanel } from './TransportPanel.jsx';
import './style.css';

const session = await api.session();

// cut: client
// One client for the whole page, made outside of components.
const client = createClient({
  url: session.belfry,
  user: session.user, // tabs of the same user share one connection
  getToken: async ({ signal }) => {
    const answer = await fetch('/belfry-token', { signal });
    if (answer.status === 401) throw new UnauthorizedError();
    return (await answer.json()).token;
  },
});
// end
const queryClient = new QueryClient({ defaultOptions: { queries: { retry: 2 } } });
window.belfry = client; // for curious people, and for tests

function useHash() {
  const [hash, setHash] = useState(location.hash || '#/rooms');
  useEffect(() => {
    const listen = () => setHash(location.hash || '#/rooms');
    addEventListener('hashchange', listen);
    return () => removeEventListener('hashchange', listen);
  }, []);
  return hash.slice(2).split('/');
}

function Status() {
  const { status, transport } = useConnectionState();
  return (
    <span className={`status ${status}`} title="How this page hears of changes">
      {status === 'live' ? `● live · ${transport}` : `○ ${status}`}
    </span>
  );
}

function App() {
  const [page, id] = useHash();
  const link = (name, text) => (
    <a href={`#/${name}`} aria-current={page === name ? 'page' : undefined}>
      {text}
    </a>
  );
  const leave = async () => {
    await client.logout();
    await api.signOut();
    location.reload();
  };
  return (
    <>
      <header>
        <strong>Pousada Belfry</strong>
        <nav>
          {link('rooms', 'Search')}
          {link('bookings', 'My bookings')}
          <a href="#/bank" target="_blank" rel="noreferrer">
            Bank
          </a>
        </nav>
        <Status />
        <Bell badge="unread" />
        <button className="quiet" onClick={leave}>
          {session.user} · sign out
        </button>
      </header>
      <main>
        {page === 'bookings' ? <Bookings /> : page === 'pay' ? <Payment id={id} /> : <Rooms />}
        <TransportPanel />
      </main>
    </>
  );
}

function SignIn() {
  const [error, setError] = useState('');
  const enter = async (event) => {
    event.preventDefault();
    try {
      await api.signIn(new FormData(event.target).get('user'));
      location.reload();
    } catch (problem) {
      setError(problem.message);
    }
  };
  return (
    <main className="narrow">
      <h1>Pousada Belfry</h1>
      <form onSubmit={enter}>
        <label>
          Your name <input name="user" defaultValue="ana" autoFocus />
        </label>
        <button>Come in</button>
        <p role="alert">{error}</p>
      </form>
    </main>
  );
}

const isBank = location.hash === '#/bank';
createRoot(document.getElementById('root')).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      {isBank ? (
        <Bank />
      ) : !session.user ? (
        <SignIn />
      ) : (
        // cut: provider
        <BelfryProvider client={client} refresh={{ allow: ['rooms', 'bookings', 'booking'] }}>
          <App />
        </BelfryProvider>
        // end
      )}
    </QueryClientProvider>
  </StrictMode>,
);
