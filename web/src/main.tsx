/** Puts the page into the document. */
import { render } from "preact";

import { App } from "./app";
import { applyStoredTheme } from "./state/theme";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/controls.css";
import "./styles/cards.css";
import "./styles/views.css";

applyStoredTheme();
const page = document.getElementById("page");
if (page === null) throw new Error("index.html has no element #page");
render(<App />, page);
