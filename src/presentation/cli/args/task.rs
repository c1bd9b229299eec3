//! `task …` and `template …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  orchestrator task create IND-000001 'Build a todo microservice with auth and CRUD' --hours 12
  orchestrator task decompose TASK --dry-run
  orchestrator task execute TASK --max-parallel 3
  orchestrator task tree TASK
  orchestrator task depend TASK OTHER
  orchestrator task complete TASK --result '{\"commit\": \"abc\"}'

TASK is an id, as `task list` shows it.";

const TEMPLATES: &str = "\
Examples:
  orchestrator template check review.toml --title 'Implement the login page' --hours 12
  orchestrator template add review.toml
  orchestrator template export crud > crud.json";

/// The verbs of tasks.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum TaskCommand {
    /// Tasks, oldest first.
    #[command(visible_alias = "ls")]
    List(TaskListArgs),
    /// One task.
    Show { task: String },
    /// Create a task.
    Create(Box<TaskCreateArgs>),
    /// Delete a task with everything below it.
    Delete { task: String },
    /// A task with everything below it.
    Tree { task: String },
    /// When each part can start and must, and what the end hangs on.
    Graph { task: String },
    /// How many tasks are what.
    Stats {
        /// Of this session.
        #[arg(long)]
        session: Option<String>,
    },
    /// Let a task need another one of its session.
    Depend(TaskDependArgs),
    /// Let a task need another one no more.
    Free { task: String, dependency: String },
    /// Split a task into parts.
    Decompose(TaskDecomposeArgs),
    /// Have a task executed with everything below it; its session begins.
    Execute {
        task: String,
        /// Leaves at a time, 1 to 50.
        #[arg(long)]
        max_parallel: Option<u32>,
        /// The first failure that stays ends everything that has not finished.
        #[arg(long)]
        fail_fast: bool,
    },
    /// Give a task to an agent, by routing when none is named.
    Assign {
        task: String,
        /// Its id or name.
        #[arg(long)]
        agent: Option<String>,
    },
    /// Begin a task, or go on with it.
    Start { task: String },
    /// Say that the work on a task is done.
    Complete {
        task: String,
        /// What it gave, as a JSON object.
        #[arg(long, value_name = "JSON")]
        result: Option<String>,
    },
    /// Say that the work on a task failed.
    Fail { task: String, message: String },
    /// Hold a task.
    Pause(TaskMoveArgs),
    /// Cancel a task, with everything below it that has not finished.
    Cancel(TaskMoveArgs),
    /// Leave a task out, with everything below it that nobody was given.
    Skip(TaskMoveArgs),
    /// Try what failed of a task once more.
    Retry(TaskMoveArgs),
}

/// Which tasks.
#[derive(Debug, Args)]
pub struct TaskListArgs {
    /// Of this session.
    #[arg(long)]
    pub session: Option<String>,
    /// Parts of this task.
    #[arg(long)]
    pub parent: Option<String>,
    /// In this status; repeatable.
    #[arg(long)]
    pub status: Vec<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
}

/// A task to be made.
#[derive(Debug, Args)]
pub struct TaskCreateArgs {
    /// The root session, by id or code.
    pub session: String,
    /// What people call it.
    pub title: String,
    /// What is to be done.
    #[arg(long)]
    pub description: Option<String>,
    /// What kind of work it is, a slug such as `web_service`.
    #[arg(long = "type", value_name = "TYPE")]
    pub task_type: Option<String>,
    /// Hours that it is expected to take.
    #[arg(long)]
    pub hours: Option<f64>,
    /// `blocker`, `critical`, `high`, `normal`, `low` or `background`.
    #[arg(long)]
    pub priority: Option<String>,
    /// The task that it is a part of.
    #[arg(long)]
    pub parent: Option<String>,
    /// A task that it needs; repeatable.
    #[arg(long = "needs", value_name = "TASK")]
    pub needs: Vec<String>,
    /// What an agent must be able to do; repeatable.
    #[arg(long = "capability", value_name = "SLUG")]
    pub capabilities: Vec<String>,
    /// Retries by the executor.
    #[arg(long)]
    pub max_retries: Option<u32>,
}

/// What a task needs.
#[derive(Debug, Args)]
pub struct TaskDependArgs {
    /// Who needs.
    pub task: String,
    /// What is needed.
    pub target: String,
    /// `finish_to_start`, `start_to_start`, `finish_to_finish` or `start_to_finish`.
    #[arg(long = "type", value_name = "TYPE", default_value = "finish_to_start")]
    pub kind: String,
    /// It holds nothing up; it only orders what is equal otherwise.
    #[arg(long)]
    pub optional: bool,
}

/// By what a task is split.
#[derive(Debug, Args)]
pub struct TaskDecomposeArgs {
    /// Which task.
    pub task: String,
    /// `template`, `rules`, `functional`, `temporal`, `capability` or `planner`.
    #[arg(long)]
    pub strategy: Option<String>,
    /// This template.
    #[arg(long)]
    pub template: Option<String>,
    /// Levels below the task, 1 to 5.
    #[arg(long)]
    pub max_depth: Option<u32>,
    /// Only tell what it would be split into.
    #[arg(long)]
    pub dry_run: bool,
    /// A plan to follow, as a JSON file.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
}

/// A move that carries nothing but a reason.
#[derive(Debug, Args)]
pub struct TaskMoveArgs {
    /// Which task.
    pub task: String,
    /// Why, for people.
    #[arg(long)]
    pub reason: Option<String>,
}

/// The verbs of templates.
#[derive(Debug, Subcommand)]
#[command(after_help = TEMPLATES)]
pub enum TemplateCommand {
    /// Templates: the shipped ones, and the tenant's own.
    #[command(visible_alias = "ls")]
    List,
    /// One template.
    Show { template: String },
    /// Check a file, and try it on a task; needs no server.
    Check(TemplateCheckArgs),
    /// Add the templates of a file, in the place of those with the same keys.
    Add { file: PathBuf },
    /// Remove a template of the tenant's own.
    Remove { template: String },
    /// Write a template as a file that `template add` takes.
    Export { template: String },
}

/// A file to check, and a task to try it on.
#[derive(Debug, Args)]
pub struct TemplateCheckArgs {
    /// TOML, or JSON.
    pub file: PathBuf,
    /// The title of a task to try it on.
    #[arg(long)]
    pub title: Option<String>,
    /// Its likely hours.
    #[arg(long, default_value_t = 12.0)]
    pub hours: f64,
    /// Its type; that of the template when omitted.
    #[arg(long = "type", value_name = "TYPE")]
    pub task_type: Option<String>,
}
