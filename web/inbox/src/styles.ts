// Theme by 26 custom properties, all optional. Dark follows the page's color-scheme. Constructable style
// sheets, so a strict `style-src` does no harm.
import { css } from 'lit';

export const tokens = css`
  :host {
    --_font: var(--belfry-font, system-ui, sans-serif);
    --_size: var(--belfry-font-size, 0.9375rem);
    --_bg: var(--belfry-color-bg, light-dark(#ffffff, #17191c));
    --_surface: var(--belfry-color-surface, light-dark(#ffffff, #1e2125));
    --_hover: var(--belfry-color-surface-hover, light-dark(#f2f4f6, #292d32));
    --_text: var(--belfry-color-text, light-dark(#1b1e22, #eceef0));
    --_muted: var(--belfry-color-text-muted, light-dark(#565d66, #a9b1ba));
    --_border: var(--belfry-color-border, light-dark(#d5dae0, #3a4047));
    --_accent: var(--belfry-color-accent, light-dark(#9a4510, #f0a06a));
    --_on-accent: var(--belfry-color-on-accent, light-dark(#ffffff, #23120a));
    --_badge: var(--belfry-color-badge, light-dark(#b3261e, #f2b8b5));
    --_on-badge: var(--belfry-color-on-badge, light-dark(#ffffff, #4a0f0b));
    --_unread: var(--belfry-color-unread-bg, light-dark(#fdf3ec, #2a221d));
    --_danger: var(--belfry-color-danger, light-dark(#b3261e, #f2b8b5));
    --_ring: var(--belfry-focus-ring, 2px solid var(--_accent));
    --_radius: var(--belfry-radius, 12px);
    --_radius-item: var(--belfry-radius-item, 8px);
    --_space: var(--belfry-space, 4px);
    --_width: var(--belfry-panel-width, 380px);
    --_height: var(--belfry-panel-max-height, 560px);
    --_shadow: var(--belfry-shadow, 0 8px 32px #0003);
    --_avatar: var(--belfry-avatar-size, 32px);
    --_icon: var(--belfry-icon-size, 22px);
    --_badge-size: var(--belfry-badge-size, 18px);
    --_z: var(--belfry-z, 1000);
    --_duration: var(--belfry-duration, 120ms);
    color-scheme: inherit;
    font: var(--_size) / 1.45 var(--_font);
    color: var(--_text);
  }
  :host([theme='light']) {
    color-scheme: light;
  }
  :host([theme='dark']) {
    color-scheme: dark;
  }
  :host([hidden]) {
    display: none;
  }
  * {
    box-sizing: border-box;
  }
  button {
    font: inherit;
    color: inherit;
    background: none;
    border: 1px solid transparent;
    border-radius: var(--_radius-item);
    padding: calc(var(--_space) * 1) calc(var(--_space) * 2);
    cursor: pointer;
  }
  button:hover {
    background: var(--_hover);
  }
  :focus-visible {
    outline: var(--_ring);
    outline-offset: 2px;
  }
  .sr {
    position: absolute;
    width: 1px;
    height: 1px;
    margin: -1px;
    padding: 0;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  @media (pointer: coarse) {
    button {
      min-height: 44px;
      min-width: 44px;
    }
  }
  @media (prefers-reduced-motion: reduce) {
    * {
      transition: none !important;
      animation: none !important;
    }
  }
`;

export const bell = css`
  :host {
    display: inline-block;
    position: relative;
  }
  [part='trigger'] {
    position: relative;
    display: grid;
    place-items: center;
    width: 40px;
    height: 40px;
    padding: 0;
    border-radius: 50%;
  }
  svg {
    width: var(--_icon);
    height: var(--_icon);
  }
  [part='badge'] {
    position: absolute;
    inset-block-start: 0;
    inset-inline-end: 0;
    min-width: var(--_badge-size);
    height: var(--_badge-size);
    padding-inline: 4px;
    border-radius: 99px;
    background: var(--_badge);
    color: var(--_on-badge);
    font-size: 0.75rem;
    font-weight: 700;
    line-height: var(--_badge-size);
    text-align: center;
  }
  [part='badge'].dot {
    min-width: 10px;
    width: 10px;
    height: 10px;
    padding: 0;
    inset-block-start: 6px;
    inset-inline-end: 6px;
  }
  [part='panel'] {
    position: fixed;
    inset: auto;
    margin: 0;
    padding: 0;
    width: min(var(--_width), calc(100vw - 16px));
    max-height: min(var(--_height), calc(100dvh - 16px));
    overflow: hidden;
    flex-direction: column;
    z-index: var(--_z);
    color: var(--_text);
    background: var(--_bg);
    border: 1px solid var(--_border);
    border-radius: var(--_radius);
    box-shadow: var(--_shadow);
  }
  [part='panel']:popover-open {
    display: flex;
  }
  [part='header'] {
    display: flex;
    align-items: center;
    gap: calc(var(--_space) * 2);
    padding: calc(var(--_space) * 3) calc(var(--_space) * 4);
    border-block-end: 1px solid var(--_border);
  }
  [part='title'] {
    flex: 1;
    margin: 0;
    font-size: 1.0625rem;
    outline-offset: 4px;
  }
  [part='mark-all'] {
    color: var(--_accent);
  }
  [part='tabs'] {
    display: flex;
    gap: var(--_space);
    padding: calc(var(--_space) * 2) calc(var(--_space) * 4) 0;
  }
  [role='tab'][aria-selected='true'] {
    background: var(--_hover);
    border-color: var(--_border);
    font-weight: 600;
  }
  [part='banner'] {
    margin: 0;
    padding: calc(var(--_space) * 2) calc(var(--_space) * 4);
    background: var(--_hover);
    color: var(--_muted);
    font-size: 0.875em;
  }
  belfry-inbox {
    overflow: auto;
    flex: 1;
    min-height: 0;
  }
  [part='footer']:not(.used) {
    display: none;
  }
  @media (forced-colors: active) {
    [part='panel'],
    [part='badge'] {
      border: 1px solid CanvasText;
    }
    [part='badge'] {
      forced-color-adjust: none;
      background: Highlight;
      color: HighlightText;
    }
  }
`;

export const inbox = css`
  :host {
    display: block;
    position: relative;
    background: var(--_surface);
  }
  [part='list'] {
    display: grid;
    gap: 1px;
  }
  [part~='item'] {
    position: relative;
    display: grid;
    grid-template-columns: auto 1fr auto;
    padding: calc(var(--_space) * 3) calc(var(--_space) * 4);
    border-inline-start: 3px solid transparent;
    transition: background var(--_duration);
  }
  [part~='item']:hover {
    background: var(--_hover);
  }
  [part~='item'].unread {
    background: var(--_unread);
    border-inline-start-color: var(--_accent);
  }
  [part~='item']:focus-visible {
    outline-offset: -3px;
  }
  :host([density='compact']) [part~='item'] {
    padding-block: calc(var(--_space) * 1.5);
  }
  .text {
    grid-column: 2;
    min-width: 0;
  }
  [part='avatar'] {
    grid-column: 1;
    width: var(--_avatar);
    height: var(--_avatar);
    margin-inline-end: calc(var(--_space) * 3);
    border-radius: 50%;
    object-fit: cover;
  }
  h3 {
    margin: 0;
    font-size: 1em;
    font-weight: 400;
    overflow-wrap: anywhere;
  }
  .unread h3 {
    font-weight: 650;
  }
  [part='item-link'] {
    color: inherit;
    text-decoration: none;
  }
  [part='item-link']::after {
    content: '';
    position: absolute;
    inset: 0;
  }
  p {
    margin: 0;
    color: var(--_muted);
    overflow-wrap: anywhere;
  }
  time {
    color: var(--_muted);
    font-size: 0.85em;
  }
  [part='item-actions'] {
    grid-column: 2 / -1;
    display: flex;
    flex-wrap: wrap;
    gap: calc(var(--_space) * 2);
    position: relative;
    z-index: 1;
    width: fit-content;
  }
  [part~='item'] button {
    padding-block: 0;
    border-color: var(--_border);
    background: var(--_surface);
    font-size: 0.875em;
  }
  .offered {
    margin-block-start: var(--_space);
  }
  .own {
    position: absolute;
    inset-block-start: calc(var(--_space) * 2);
    inset-inline-end: calc(var(--_space) * 3);
    z-index: 1;
    display: flex;
    gap: var(--_space);
    opacity: 0;
  }
  [part~='item']:is(:hover, :focus-within) .own {
    opacity: 1;
  }
  @media (hover: none) {
    .own {
      position: static;
      grid-column: 2 / -1;
      opacity: 1;
    }
  }
  [part='new-pill'] {
    position: sticky;
    inset-block-start: var(--_space);
    z-index: 2;
    display: block;
    margin: var(--_space) auto;
    background: var(--_accent);
    color: var(--_on-accent);
    border-radius: 99px;
  }
  [part='load-more'] {
    display: block;
    width: calc(100% - var(--_space) * 4);
    margin: calc(var(--_space) * 2);
    color: var(--_accent);
  }
  .note {
    padding: calc(var(--_space) * 8) calc(var(--_space) * 4);
    text-align: center;
    color: var(--_muted);
  }
  .note.bad {
    color: var(--_danger);
  }
  @media (forced-colors: active) {
    [part~='item'].unread {
      border-inline-start-color: Highlight;
    }
    [part~='item'] {
      border-block-end: 1px solid CanvasText;
    }
  }
`;
