// The provider's pages, without anything from elsewhere: its own load a font from the internet.

function page(title, body) {
  return `<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${body}</html>`;
}

function form(title, fields, button) {
  return page(title, `<form method="post">${fields}<button>${button}</button></form>`);
}

export const login = form('Sign in', '<label>User <input name="user" autofocus></label>', 'Sign in');
export const consent = form('Allow access', '', 'Allow');
export const loggedOut = page('Signed out', '');

export function logout(asked) {
  return page('Sign out', `${asked}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`);
}

export function failure({ error, error_description: description }) {
  const text = `${error}: ${description ?? ''}`.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  return page('Error', `<p>${text}</p>`);
}
