// Shows the page of hosts as it has become, each few seconds. Without it, the page is as it was when it was loaded.
"use strict";
{
    const page = document.querySelector("[data-resto-refresh]");
    const stale = document.getElementById("resto-stale");

    const show = (other) => {
        for (const part of page.querySelectorAll("[data-resto-part]")) {
            const fresh = other.getElementById(part.id);
            if (fresh.innerHTML !== part.innerHTML) {
                const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
                part.replaceChildren(...fresh.childNodes);
                document.getElementById(focused)?.focus();
            }
        }
    };

    const refresh = async () => {
        // A button that is being pressed would go away under the pointer.
        if (!document.hidden && !page.querySelector("button:active")) {
            try {
                const answer = await fetch(location.href, {redirect: "error"}); // such as to the form to log in
                if (!answer.ok) throw new Error(answer.statusText);
                show(new DOMParser().parseFromString(await answer.text(), "text/html"));
                stale.hidden = true;
            } catch {
                stale.hidden = false;
            }
        }
        setTimeout(refresh, page.dataset.restoRefresh * 1000);
    };

    if (page) setTimeout(refresh, page.dataset.restoRefresh * 1000);
}
