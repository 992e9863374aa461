// The bank of the demo, in a window of its own: it pays, and tells the site by a signed call.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { api } from './api.js';
import { money } from './format.js';

export function Bank() {
  const queryClient = useQueryClient();
  const charges = useQuery({ queryKey: ['charges'], queryFn: api.charges, refetchInterval: 2_000 });
  const settle = useMutation({
    mutationFn: api.settle,
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['charges'] }),
  });
  return (
    <main className="narrow">
      <h1>Bank of the demo</h1>
      <p>
        Charges that wait to be paid. Paying one calls <code>POST /payments/pix/confirmation</code> of the
        site.
      </p>
      <p role="alert">{(charges.error ?? settle.error)?.message}</p>
      <ul className="cards">
        {charges.data?.map(({ txid, amount, user }) => (
          <li key={txid}>
            <p>
              {user} · {money(amount)}
              <br />
              <small>{txid}</small>
            </p>
            <button onClick={() => settle.mutate(txid)}>Pay</button>
          </li>
        ))}
      </ul>
      {charges.data?.length === 0 && <p>Nothing to pay.</p>}
    </main>
  );
}
