/* What the pages do in the browser: formats of the charts, cells of the grid, address and map. */

window.dashMantineFunctions = Object.assign({}, window.dashMantineFunctions, {
  count: (value) => (value == null ? "" : Number(value).toLocaleString("en-US")),
  dollars: (value) =>
    value == null
      ? ""
      : "$" + Number(value).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 }),
  /* "Mon 6 Jan 2025" as "6 Jan" */
  shortDay: (label) => String(label).split(" ").slice(1, 3).join(" "),
});

window.dashAgGridFunctions = Object.assign({}, window.dashAgGridFunctions, {
  grouped: (value) => (value == null ? "" : value.toLocaleString("en-US")),
  shaded: (params) => {
    const share = params.data ? params.data.share : 0;
    return { backgroundColor: `rgba(139, 92, 246, ${(0.06 + 0.5 * share).toFixed(3)})` };
  },
});

/* Whoever goes to the list of states is about to type another one over it. */
for (const kind of ["focusin", "click"]) {
  document.addEventListener(kind, (event) => {
    if (event.target.id === "music-state") {
      event.target.select();
    }
  });
}

/* A table is copied as tab-separated text, which spreadsheets take. */
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) {
    return;
  }
  const rows = [...button.parentElement.querySelectorAll("tr")];
  const text = rows.map((row) => [...row.cells].map((cell) => cell.textContent).join("\t")).join("\n");
  const said = button.firstChild.textContent;
  let answer = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch (_) {
    answer = "The browser does not allow it"; /* nor does it over plain HTTP from another machine */
  }
  button.firstChild.textContent = answer;
  setTimeout(() => (button.firstChild.textContent = said), 2000);
});

/* A definition closes on Escape, or when something else is clicked. */
const closeDefinitions = (except) =>
  document.querySelectorAll("details.about[open]").forEach((about) => {
    if (about !== except) {
      about.open = false;
    }
  });
document.addEventListener("keydown", (event) => event.key === "Escape" && closeDefinitions(null));
document.addEventListener("click", (event) => closeDefinitions(event.target.closest("details.about")));

window.dash_clientside = Object.assign({}, window.dash_clientside, {
  pages: {
    /* The address bar follows the filters: each change is a step that Back undoes, and a copied link shows the
       same view. While somebody types a search, it is one step. */
    keepAddress: ([query]) => {
      if (!query || query === window.location.search) {
        return;
      }
      const search = (text) => new URLSearchParams(text).get("q");
      const typing = search(query) && search(window.location.search) && search(query) !== search(window.location.search);
      const address = window.location.pathname + query;
      if (typing) {
        window.history.replaceState({}, "", address);
      } else {
        window.history.pushState({}, "", address);
      }
      window.dispatchEvent(new PopStateEvent("popstate")); /* by which dcc.Location learns of it */
    },

    /* Another view or snapshot: the grid's rows are no longer its rows. */
    reloadSongs: (_query, _snapshot, grid) => {
      const api = grid && window.dash_ag_grid.getApi(grid);
      if (api) {
        api.paginationGoToFirstPage();
        api.purgeInfiniteCache();
      }
    },

    /* A click on a name puts what it stands for into a field. */
    choose: (_clicks) => {
      const cause = window.dash_clientside.callback_context.triggered[0];
      if (!cause || !cause.value) {
        return window.dash_clientside.no_update;
      }
      return JSON.parse(cause.prop_id.replace(/\.n_clicks$/, "")).value;
    },

    /* A click on a mark that stands for days shows them. A button goes with the chart that is drawn anew, so the focus
       goes to the range, which tells what is shown now. */
    chooseDays: (_clicked) => {
      const cause = window.dash_clientside.callback_context.triggered[0];
      if (!cause || !cause.value) {
        return window.dash_clientside.no_update;
      }
      if (cause.prop_id.endsWith(".clickData")) {
        return cause.value.from ? [cause.value.from, cause.value.to] : window.dash_clientside.no_update;
      }
      document.querySelector(".date-range button").focus();
      return JSON.parse(cause.prop_id.replace(/\.n_clicks$/, "")).value.split("/");
    },

    /* A click on a mark filters the page by it; a click on one that does takes it away. A button goes with what is drawn
       anew, so the focus goes to where the filters stand. */
    chooseMark: (_clicked, chosen) => {
      const cause = window.dash_clientside.callback_context.triggered[0];
      if (!cause || !cause.value) {
        return window.dash_clientside.no_update;
      }
      const isPoint = cause.prop_id.endsWith(".clickData");
      const mark = isPoint ? cause.value : JSON.parse(cause.prop_id.replace(/\.n_clicks$/, ""));
      if (!mark.sets) {
        return window.dash_clientside.no_update;
      }
      if (!isPoint) {
        document.querySelector(".chips").focus();
      }
      const sets = [...new URLSearchParams(mark.sets)];
      const kept = Object.entries(chosen).filter(([name]) => !sets.some(([other]) => other === name));
      return Object.fromEntries(sets.every(([name, value]) => chosen[name] === value) ? kept : [...kept, ...sets]);
    },

    /* A click on a state shows it; a click on the state shown shows all. */
    chooseState: (_clicks, shown) => {
      const cause = window.dash_clientside.callback_context.triggered[0];
      if (!cause || !cause.value) {
        return window.dash_clientside.no_update;
      }
      const code = JSON.parse(cause.prop_id.replace(/\.n_clicks$/, "")).code;
      return code === shown ? "ALL" : code;
    },
  },
});
