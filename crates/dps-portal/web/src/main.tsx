// The portal's entry: styles, who is signed in, and the frame.
import { render } from "preact";
import "./style/tokens.css";
import "./style/base.css";
import "./style/parts.css";
import "./style/table.css";
import "./style/shell.css";
import "./style/pages.css";
import { resume } from "./api/session";
import { Portal } from "./shell/portal";

const at = document.getElementById("portal");
if (at !== null) render(<Portal />, at);
void resume();
