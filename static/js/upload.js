// Import by file dialog or by drag and drop, with progress; the answer is the report, shown by the page after a reload.

const form = document.getElementById("upload");
const field = document.getElementById("file");
const bar = document.getElementById("upload-progress");
const status = document.getElementById("upload-status");
const most = Number(form.dataset.most);

function send(file) {
  if (file.size > most) {
    status.textContent = `${file.name} is ${Math.round(file.size / 1e6)} MB; the limit is ${Math.round(most / 1e6)} MB. Compress it with zstd, or record a shorter trace.`;
    return;
  }
  // fetch tells nothing of what was sent so far; XMLHttpRequest does.
  const request = new XMLHttpRequest();
  const body = new FormData();
  body.append("file", file, file.name);
  bar.hidden = false;
  status.textContent = `Uploading ${file.name}`;
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) bar.value = event.loaded / event.total;
  });
  request.upload.addEventListener("load", () => {
    bar.removeAttribute("value");
    status.textContent = `Importing ${file.name}`;
  });
  request.addEventListener("load", () => {
    bar.hidden = true;
    let answer = {};
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      answer = { detail: `the server replied with status ${request.status}` };
    }
    if (request.status < 300) location.assign(`/recordings?opened=${answer.id}#rec-${answer.id}`);
    else status.textContent = `Not imported: ${answer.detail ?? answer.title}`;
  });
  request.addEventListener("error", () => {
    bar.hidden = true;
    status.textContent = "Not imported: the connection was lost.";
  });
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  request.send(body);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (field.files.length) send(field.files[0]);
});
form.addEventListener("dragover", (event) => {
  event.preventDefault();
  form.classList.add("over");
});
form.addEventListener("dragleave", () => form.classList.remove("over"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("over");
  const file = event.dataTransfer.files[0];
  if (file) send(file);
});
