// A field that the browser refuses must be seen to be corrected: what folds it away is opened first.

document.addEventListener("invalid", (event) => {
  const folded = event.target.closest("details");
  if (folded) folded.open = true;
}, true);
