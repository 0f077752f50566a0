// Keeps the place in an address (#t=83) while somebody logs in: a form's answer leads to an address without it, since
// no browser sends it. Without this file the recording opens at its beginning.
if (/^#t=[\d:]+$/.test(location.hash)) {
  for (const form of document.querySelectorAll("main form[method=post]")) form.action += location.hash;
}
