// Adds what a running build's log gains; when the build has ended, shows its page as it is then.

const log = document.getElementById("log");
const box = log.parentElement;
let next = Number(log.dataset.start);

async function look() {
  try {
    const answer = await fetch(`${log.dataset.address}?from=${next}`, { headers: { Accept: "application/json" } });
    if ([401, 403, 404].includes(answer.status)) {
      return;
    }
    if (!answer.ok) {
      throw new Error(answer.statusText);
    }
    const { status, text, next: end } = await answer.json();
    const following = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
    log.append(text);
    next = end;
    if (following) {
      box.scrollTop = box.scrollHeight;
    }
    if (status !== "in-progress") {
      location.reload();
      return;
    }
  } catch {
    // The platform may be starting again; ask once more.
  }
  setTimeout(look, 1000);
}

look();
