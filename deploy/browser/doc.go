// Package browser looks at the page of "worker demo" in a real browser: Debian's Chromium, by its debugging protocol.
//
// Promise: no error in the console, no request to anybody else, no text of an event that acts; rows that come live, filters,
// the matrix, a message opened by keyboard; the same without a script; roles and names for screen readers; contrast as
// WCAG AA has it, computed of every text, by day and by night; nothing that scrolls sideways from 360 pixels on. With
// -update it writes the pictures in docs/pictures.
//
// Limits: it is a module of its own, so that none of this becomes a dependency of the worker. Where there is no Chromium
// it is skipped. "make page" runs it.
package browser
