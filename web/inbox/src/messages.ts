// What the elements say, in the languages in the box. `{n}` and `{title}` are filled in; words that change
// with the number stand as one for each plural category of the language (Intl.PluralRules).
export interface Messages {
  readonly notifications: string;
  readonly unread: Readonly<Partial<Record<Intl.LDMLPluralRule, string>>>;
  readonly fresh: Readonly<Partial<Record<Intl.LDMLPluralRule, string>>>;
  readonly markAll: string;
  readonly empty: string;
  readonly loading: string;
  readonly loadMore: string;
  readonly failed: string;
  readonly retry: string;
  readonly offline: string;
  readonly reconnecting: string;
  readonly closed: string;
  readonly unreadItem: string;
  readonly more: string;
  readonly read: string;
  readonly unreadAction: string;
  readonly archive: string;
  readonly restored: string;
}

export const languages: Readonly<Record<string, Messages>> = {
  en: {
    notifications: 'Notifications',
    unread: { one: '{n} unread', other: '{n} unread' },
    fresh: { one: '{n} new notification', other: '{n} new notifications' },
    markAll: 'Mark all as read',
    empty: 'Nothing new.',
    loading: 'Loading…',
    loadMore: 'Show more',
    failed: 'The notifications could not be loaded.',
    retry: 'Try again',
    offline: 'Offline. What you see may be old.',
    reconnecting: 'Reconnecting in {n} s',
    closed: 'Not connected.',
    unreadItem: 'Unread.',
    more: 'More actions for: {title}',
    read: 'Mark as read',
    unreadAction: 'Mark as unread',
    archive: 'Archive',
    restored: 'That did not work. Restored.',
  },
  'pt-BR': {
    notifications: 'Notificações',
    unread: { one: '{n} não lida', other: '{n} não lidas' },
    fresh: { one: '{n} nova notificação', other: '{n} novas notificações' },
    markAll: 'Marcar todas como lidas',
    empty: 'Nada de novo.',
    loading: 'Carregando…',
    loadMore: 'Mostrar mais',
    failed: 'Não foi possível carregar as notificações.',
    retry: 'Tentar de novo',
    offline: 'Sem conexão. O que você vê pode estar desatualizado.',
    reconnecting: 'Reconectando em {n} s',
    closed: 'Sem conexão.',
    unreadItem: 'Não lida.',
    more: 'Mais ações para: {title}',
    read: 'Marcar como lida',
    unreadAction: 'Marcar como não lida',
    archive: 'Arquivar',
    restored: 'Não funcionou. Restaurado.',
  },
  es: {
    notifications: 'Notificaciones',
    unread: { one: '{n} sin leer', other: '{n} sin leer' },
    fresh: { one: '{n} notificación nueva', other: '{n} notificaciones nuevas' },
    markAll: 'Marcar todas como leídas',
    empty: 'Nada nuevo.',
    loading: 'Cargando…',
    loadMore: 'Mostrar más',
    failed: 'No se pudieron cargar las notificaciones.',
    retry: 'Reintentar',
    offline: 'Sin conexión. Lo que ve puede no estar al día.',
    reconnecting: 'Reconectando en {n} s',
    closed: 'Sin conexión.',
    unreadItem: 'Sin leer.',
    more: 'Más acciones para: {title}',
    read: 'Marcar como leída',
    unreadAction: 'Marcar como no leída',
    archive: 'Archivar',
    restored: 'No funcionó. Restaurado.',
  },
  fr: {
    notifications: 'Notifications',
    unread: { one: '{n} non lue', other: '{n} non lues' },
    fresh: { one: '{n} nouvelle notification', other: '{n} nouvelles notifications' },
    markAll: 'Tout marquer comme lu',
    empty: 'Rien de nouveau.',
    loading: 'Chargement…',
    loadMore: 'Afficher plus',
    failed: 'Impossible de charger les notifications.',
    retry: 'Réessayer',
    offline: 'Hors ligne. L’affichage peut dater.',
    reconnecting: 'Reconnexion dans {n} s',
    closed: 'Non connecté.',
    unreadItem: 'Non lue.',
    more: 'Plus d’actions pour : {title}',
    read: 'Marquer comme lue',
    unreadAction: 'Marquer comme non lue',
    archive: 'Archiver',
    restored: 'Échec. Rétabli.',
  },
};

/** The language that fits best: the tag itself, its language, English. */
export function messagesOf(locale: string): Messages {
  const language = locale.split('-')[0] ?? 'en';
  const close = Object.keys(languages).find((tag) => tag.split('-')[0] === language);
  return languages[locale] ?? languages[close ?? 'en'] ?? (languages['en'] as Messages);
}

export const fill = (text: string, values: Readonly<Record<string, string | number>>): string =>
  text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));

export function plural(locale: string, forms: Messages['unread'], n: number): string {
  const form = forms[new Intl.PluralRules(locale).select(n)] ?? forms.other ?? '';
  return fill(form, { n: new Intl.NumberFormat(locale).format(n) });
}

const STEPS: readonly [limit: number, unit: Intl.RelativeTimeFormatUnit, seconds: number][] = [
  [60, 'second', 1],
  [3_600, 'minute', 60],
  [86_400, 'hour', 3_600],
  [604_800, 'day', 86_400],
];

/** "3 minutes ago"; a date from a week on. */
export function relativeTime(locale: string, time: string, now: number): string {
  const at = Date.parse(time);
  if (Number.isNaN(at)) return '';
  const seconds = Math.round((at - now) / 1000);
  const step = STEPS.find(([limit]) => Math.abs(seconds) < limit);
  if (!step) return new Intl.DateTimeFormat(locale, { dateStyle: 'medium' }).format(at);
  const format = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  return format.format(step[1] === 'second' ? 0 : Math.round(seconds / step[2]), step[1]);
}
