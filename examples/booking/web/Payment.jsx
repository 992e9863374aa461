// The payment: an event with data turns the page green. Without a connection it is asked for every three
// seconds.
import { useBelfry, useLiveQuery } from '@belfry/react';
import { useEffect, useRef, useState } from 'react';
import { renderSVG } from 'uqr';
import { api } from './api.js';
import { money } from './format.js';

// cut: live_query
function usePayment(id) {
  const { user } = useBelfry();
  return useLiveQuery({
    queryKey: ['payment', id],
    queryFn: () => api.payment(id),
    live: {
      topic: `users/${encodeURIComponent(user ?? '')}/payments/${id}`,
      on: ['payment.confirmed', 'payment.refund_required'],
      apply: (old, event) => ({ ...old, status: event.type.slice('payment.'.length) }),
      fallbackPollMs: 3_000,
      until: (payment) => payment.status !== 'pending',
    },
  });
}
// end

function useSecondsLeft(expiresAt) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return expiresAt ? Math.max(0, Math.round((Date.parse(expiresAt) - now) / 1000)) : 0;
}

function Pending({ payment, isLive, onExpired }) {
  const left = useSecondsLeft(payment.expiresAt);
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (left === 0) onExpired();
  }, [left === 0]);
  const copy = () =>
    navigator.clipboard?.writeText(payment.brCode).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  return (
    <>
      <h1>Pay {money(payment.amount)} with Pix</h1>
      <img
        className="qr"
        alt="QR code of the payment"
        src={`data:image/svg+xml,${encodeURIComponent(renderSVG(payment.brCode))}`}
      />
      <p>
        <code className="code">{payment.brCode}</code>
      </p>
      <p className="row">
        <button onClick={copy}>Copy the code</button>
        <span role="status">{copied ? 'Copied' : ''}</span>
      </p>
      <p aria-live="off">
        {Math.floor(left / 60)}:{String(left % 60).padStart(2, '0')} left ·{' '}
        {isLive ? '● live' : '○ checking every 3 s'}
      </p>
    </>
  );
}

function Confirmed({ payment }) {
  const heading = useRef(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <div className="confirmed">
      <h1 tabIndex={-1} ref={heading}>
        Payment confirmed
      </h1>
      <p>{money(payment.amount)} by Pix. Your room is yours.</p>
      <p>
        <a href="#/bookings">My bookings</a>
      </p>
    </div>
  );
}

const others = {
  expired: 'The time to pay is over. Nothing was charged.',
  refund_required: 'The payment came after its time was over. It will be given back.',
};

export function Payment({ id }) {
  const { data: payment, error, isLive, refetch } = usePayment(id);
  const status = payment?.status;
  return (
    <section data-status={status}>
      <p role="status" className="sr">
        {status === 'confirmed' ? 'Payment confirmed' : ''}
      </p>
      {error && <p role="alert">{error.message}</p>}
      {status === 'pending' && <Pending payment={payment} isLive={isLive} onExpired={refetch} />}
      {status === 'confirmed' && <Confirmed payment={payment} />}
      {others[status] && (
        <>
          <h1>{status === 'expired' ? 'Expired' : 'Too late'}</h1>
          <p>{others[status]}</p>
          <p>
            <a href="#/bookings">My bookings</a>
          </p>
        </>
      )}
    </section>
  );
}
